"""Claims an ended job: the handler's hook runs exactly once, then its owner is sent on.

The archive decides. A claim is one transaction whose first statement is a conditional update of
the archived row, and the hook runs inside it. So the hook's database effects exist once, even if
a process dies half-way or Redis loses its data.

A lease in Redis comes before that. It spares the database, it keeps a `lost` job from changing
while it is claimed, and it makes a second claim wait for the first.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from django.db import transaction
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

from .hook import DATABASE_BUSY, run_hook
from .leases import give_back, lease_keeper, take_lease
from .redirects import safe_url

logger = get_logger(__name__)

CLAIM_WAIT_SECONDS = 25.0  # for another claim; proxies and pages give up after 30
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two looks at another claim
OUTCOME_TRIES = 5  # times that the outcome may change while it is being claimed


class NotEnded(JobError):
    """The job has not ended, or it was `lost` and its worker has spoken again."""


class _OutcomeChanged(Exception):
    """The job got another outcome, or was claimed, after we read it."""


def claim(job: Job, request: HttpRequest) -> str:
    """Run the handler's hook for this ended job unless it has run, and return where to go.

    Of concurrent calls one runs the hook, and all return the same place. The call may be repeated
    after each of these errors: `ClaimFailed` if the hook raises, `NotEnded`, and
    `StoreUnavailable` if nobody can decide now. That is so if the database is busy, if the job is
    `lost` and Redis does not answer, and if another claim takes longer than `CLAIM_WAIT_SECONDS`
    (`ClaimInProgress`).
    """
    token = secrets.token_hex(8)
    if not _wait_for_lease(job, token):
        return safe_url(job.claimed_url, job, request)
    with _lease_kept(job, token):
        if not jobs_settings().ARCHIVE:
            url = run_hook(job, request)
            _unless_redis_fails(job, lambda: mark_claimed(job, url, token))
            return url
        url = _claim_in_archive(job, request, token)
    _unless_redis_fails(job, lambda: mark_claimed(job, url))
    return url


def mark_claimed(job: Job, url: str, token: str | None = None) -> None:
    """Remember in Redis where the owner was sent; see `transitions.claimed`."""
    job.apply(transitions.claimed(url, job.record, token))


def _wait_for_lease(job: Job, token: str) -> bool:
    """Return True once we hold the lease, or False once another request has claimed the job."""
    give_up, pause = monotonic() + CLAIM_WAIT_SECONDS, FIRST_PAUSE
    while not job.record.claimed_at:
        if not job.is_ended:
            raise NotEnded(f"Job {job.id} cannot be claimed yet: it is {job.state}.")
        if _may_proceed(job, token):
            return True
        if job.record.leased_until:
            if monotonic() > give_up:
                raise ClaimInProgress(f"Job {job.id} is being claimed by another request.")
            sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        job.refresh()
    return False


def _may_proceed(job: Job, token: str) -> bool:
    """Take the lease if it is free. If Redis cannot tell, the archive alone decides.

    Not for a `lost` job, because its worker may still speak; and not without an archive.
    """
    try:
        return take_lease(job, token)
    except (StoreUnavailable, JobNotFound):
        if not jobs_settings().ARCHIVE or job.state is JobState.LOST:
            raise
        return True
    except JobEnded:  # it was claimed a moment ago, or it runs again
        return False


@contextmanager
def _lease_kept(job: Job, token: str) -> Iterator[None]:
    """Renew the lease during the claim, and give it back if the claim fails."""
    try:
        with lease_keeper().keep(job, token):
            yield
    except BaseException:  # also when the process is stopped: the next claim need not wait
        _unless_redis_fails(job, lambda: give_back(job, token))
        raise


def _claim_in_archive(job: Job, request: HttpRequest, token: str) -> str:
    try:
        for _try in range(OUTCOME_TRIES):
            with suppress(_OutcomeChanged):
                if url := _claim_row(job, request, token) or _settle_outcome(job, request):
                    return url
    except DATABASE_BUSY as error:
        logger.warning("job %s: the database is too busy for the claim: %s", job.id, error)
        raise StoreUnavailable(
            f"Job {job.id} cannot be claimed now, because the database is busy."
        ) from error
    raise StoreUnavailable(
        f"Job {job.id} cannot be claimed now: its outcome changed {OUTCOME_TRIES} times."
    )


def _claim_row(job: Job, request: HttpRequest, token: str) -> str:
    """Claim the row, run the hook in the same transaction, and return where to go.

    Returns "" if there is no such row: it is missing, has another outcome, or has been claimed.
    """
    row = JobRecord.objects.filter(pk=job.id)
    with transaction.atomic(archive_alias()):
        unclaimed = row.filter(
            claimed_at=None,
            state=job.state,
            ended_at=database_time(to_datetime(job.record.ended_at)),
        )
        if not unclaimed.update(claimed_at=timezone.now()):
            return ""
        if job.state is JobState.LOST:
            _require_still_lost(job, token)
        url = run_hook(job, request)
        row.update(claimed_url=url)
        return url


def _require_still_lost(job: Job, token: str) -> None:
    """Read the job in Redis again, now that its row is locked: its worker may have spoken.

    From here on the worker waits for the lock before it writes (`find_claimed`). Without this
    check the owner could hear that a job is lost although it runs. That would happen if the claim
    stood still for longer than its lease, or if Redis lost its data.
    """
    outcome = job.state, job.record.ended_at
    try:
        if not take_lease(job, token):
            raise ClaimInProgress(f"Job {job.id}: our lease ended, and another claim has it now.")
    except JobEnded as error:
        if not job.is_ended:
            raise NotEnded(f"Job {job.id} is {job.state} again.") from error
        raise _OutcomeChanged from error
    if (job.state, job.record.ended_at) != outcome:
        raise _OutcomeChanged


def _settle_outcome(job: Job, request: HttpRequest) -> str:
    """Return where a faster claim went. Else make archive and job agree, and return ""."""
    row = JobRecord.objects.filter(pk=job.id).first()
    if row is not None and row.claimed_at:
        return safe_url(row.claimed_url, job, request)
    if row is None or (row.state == JobState.LOST and row.version < job.version):
        archive_now(job.record)  # the worker has not done so yet, or it knew less
    elif row.state == JobState.LOST:
        raise ClaimInProgress(f"Job {job.id} was lost again after it was read.")
    else:  # the first end wins
        with suppress(JobEnded):  # it was claimed a moment ago: the next try finds the place
            job.apply(transitions.archived_outcome(row.to_record()), is_archived=True)
    return ""


def _unless_redis_fails(job: Job, write: Callable[[], None]) -> None:
    """Write to Redis; log a failure instead of raising it, so that the claim stands."""
    try:
        write()
    except JobError as error:
        logger.info("job %s: the claim was not written to Redis: %s", job.id, error)
