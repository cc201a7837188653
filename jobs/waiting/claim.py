"""From a job that has ended, and its owner's request, to the place where the owner goes on: exactly once.

The conditional update of the archived row is the first statement of a transaction that also holds the hook. So the
hook's database effects exist once, even when a process dies half-way or Redis was emptied. The lease in Redis spares
the database, keeps a `lost` job from changing while it is claimed, and makes a second claim wait for the first.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from django.contrib.messages.storage import default_storage
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest
from django.utils import timezone

from jobs.archive.database_time import database_time
from jobs.archive.writer import archive_alias, archive_now
from jobs.conf import jobs_settings
from jobs.core import transitions
from jobs.core.clock import to_datetime
from jobs.exceptions import ClaimInProgress, JobEnded, JobError, JobNotFound, StoreUnavailable
from jobs.job import Job
from jobs.logs import get_logger
from jobs.models import JobRecord
from jobs.states import JobState

from .leases import give_back, lease_keeper, take_lease
from .redirects import safe_url

logger = get_logger(__name__)

PATIENCE = (
    25.0  # seconds to wait for another claim; below the 30 s after which proxies and pages give up
)
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two looks at a claim in progress
TRIES = 5  # outcomes that the archive may put in place of the one that is claimed

BUSY = OperationalError, InterfaceError  # the database is locked, full of connections, or away


class ClaimFailed(JobError):
    """The handler's hook failed; nothing of it has remained, and it may be tried again."""


class NotEnded(JobError):
    """The job has not ended, or not any more: a worker that was given up for lost speaks again."""


class _OutcomeChanged(Exception):
    """The job has ended in another way, or has been claimed, since its row was read."""


def claim(job: Job, request: HttpRequest) -> str:
    """Run the handler's hook for this ended job, unless that has been done, and return where to go.

    Of concurrent calls one runs the hook, and all return the same place. Raises `ClaimFailed` when the hook raises,
    `NotEnded`, and `StoreUnavailable` when it cannot be decided now: the database is busy, Redis is away and the job
    is `lost`, or another claim takes longer than `PATIENCE` seconds (`ClaimInProgress`). After each of them the claim
    may be repeated.
    """
    token = secrets.token_hex(8)
    if not _lease(job, token):
        return safe_url(job.claimed_url, job, request)
    with _released_on_error(job, token), lease_keeper().keep(job, token):
        if not jobs_settings().ARCHIVE:
            url = _run_hook(job, request)
            _quietly(lambda: mark_claimed(job, url, token))
            return url
        url = _claim_in_database(job, request, token)
    _quietly(lambda: mark_claimed(job, url))
    return url


def mark_claimed(job: Job, url: str, token: str | None = None) -> None:
    """Remember in Redis where the owner was sent; see `transitions.claimed`."""
    job.apply(transitions.claimed(url, job.record, token))


def _lease(job: Job, token: str) -> bool:
    """Return True when the job is ours to claim, False when it has been claimed; wait for another claim to end."""
    give_up, pause = monotonic() + PATIENCE, FIRST_PAUSE
    while not job.record.claimed_at:
        if not job.is_ended:
            raise NotEnded(f"Job {job.id} is {job.state}.")
        if _is_leased(job, token):
            return True
        if job.record.leased_until:
            if monotonic() > give_up:
                raise ClaimInProgress(f"Job {job.id} is being claimed by another request.")
            sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        job.refresh()
    return False


def _is_leased(job: Job, token: str) -> bool:
    """Take the lease if it is free; without Redis the archive decides, except about a guess."""
    try:
        return take_lease(job, token)
    except (StoreUnavailable, JobNotFound):
        if not jobs_settings().ARCHIVE or job.state is JobState.LOST:
            raise
        return True
    except JobEnded:  # it has been claimed, or it has not ended any more
        return False


@contextmanager
def _released_on_error(job: Job, token: str) -> Iterator[None]:
    try:
        yield
    except BaseException:  # also one that ends the process: the next claim need not wait
        _quietly(lambda: give_back(job, token))
        raise


def _claim_in_database(job: Job, request: HttpRequest, token: str) -> str:
    try:
        for _try in range(TRIES):
            with suppress(_OutcomeChanged):
                if url := _claim_row(job, request, token) or _settle_outcome(job, request):
                    return url
    except BUSY as error:
        logger.warning("job %s: the database does not take the claim now: %s", job.id, error)
        raise StoreUnavailable(
            f"The claim of job {job.id} was not taken by the database."
        ) from error
    raise StoreUnavailable(f"The outcome of job {job.id} keeps changing.")


def _claim_row(job: Job, request: HttpRequest, token: str) -> str:
    """Return where to go, or "" if the archive has another outcome, or none, or a claim."""
    rows = JobRecord.objects.filter(pk=job.id)
    with transaction.atomic(archive_alias()):
        same_outcome = rows.filter(
            claimed_at=None,
            state=job.state,
            ended_at=database_time(to_datetime(job.record.ended_at)),
        )
        if not same_outcome.update(claimed_at=timezone.now()):
            return ""
        if job.state is JobState.LOST:
            _require_still_lost(job, token)
        url = _run_hook(job, request)
        rows.update(claimed_url=url)
        return url


def _require_still_lost(job: Job, token: str) -> None:
    """Look at the job in Redis once more, now that its row is locked: its worker may have spoken since the lease.

    From here on the worker waits for the lock before it writes (`find_claimed`). Without this look, a claim that
    stood still for longer than its lease, or that met a Redis which was emptied, would tell of a job that runs.
    """
    outcome = job.state, job.record.ended_at
    try:
        if not take_lease(job, token):
            raise ClaimInProgress(f"Job {job.id}: the lease has run out and is another's.")
    except JobEnded as error:
        if not job.is_ended:
            raise NotEnded(f"Job {job.id} is {job.state}.") from error
        raise _OutcomeChanged from error
    if (job.state, job.record.ended_at) != outcome:
        raise _OutcomeChanged


def _settle_outcome(job: Job, request: HttpRequest) -> str:
    """Return the place of a claim that was faster; else make the archive and this job agree, and return ""."""
    row = JobRecord.objects.filter(pk=job.id).first()
    if row is not None and row.claimed_at:
        return safe_url(row.claimed_url, job, request)
    if row is None or (row.state == JobState.LOST and row.version < job.version):
        archive_now(job.record)  # the worker has not got so far yet, or knew less
    elif row.state == JobState.LOST:
        raise ClaimInProgress(f"Job {job.id} was lost once more since.")
    else:
        with suppress(JobEnded):  # it has been claimed since: the next look finds the place
            # the first end wins
            job.apply(transitions.archived_outcome(row.to_record()), is_archived=True)
    return ""


def _run_hook(job: Job, request: HttpRequest) -> str:
    try:
        with transaction.atomic():
            handler = job.handler
            if job.state is JobState.COMPLETE:
                handler.on_ready(request)
                url = handler.next_url(request)
            else:
                handler.on_failed(request)
                url = handler.failed_url(request)
            return safe_url(url, job, request)
    except Exception as error:
        logger.exception("job %s: the hook of %s failed", job.id, job.handler_class)
        if hasattr(
            request, "_messages"
        ):  # what the hook has said must not be said again by its next run
            request._messages = default_storage(request)
        if isinstance(error, BUSY):
            raise
        raise ClaimFailed(f"The hook of job {job.id} failed.") from error


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except JobError as error:
        logger.info("the store was not told of a claim: %s", error)
