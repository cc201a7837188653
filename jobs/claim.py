"""From a job that has ended, and its owner's request, to the place where the owner goes on: exactly once.

The conditional update of the archived row is the first statement of a transaction that also holds the hook, so the
hook's database effects exist once, even when a process dies half-way or Redis was emptied. The lease in Redis spares
the database, keeps a `lost` job from changing meanwhile, and lets who comes second wait for the first.
"""

from collections.abc import Callable
from time import monotonic, sleep

from django.contrib.messages.storage import default_storage
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from .announce import archive
from .conf import jobs_settings
from .events import to_datetime
from .exceptions import JobError, StoreUnavailable
from .job import Job
from .logs import get_logger
from .models import JobRecord
from .redirects import safe_url
from .states import JobState

logger = get_logger("jobs.claim")

LOOK_AGAIN = 0.05  # seconds between two looks at a claim in progress


class ClaimFailed(JobError):
    """The handler's hook failed; nothing of it has remained, and it may be tried again."""


def claim(job: Job, request: HttpRequest) -> str:
    """Run the handler's hook for this ended job, unless that has been done, and return where to go.

    Of concurrent calls one runs the hook, and all return the same place. Raises `ClaimFailed` when the hook raises.
    """
    if not _lease(job):
        return safe_url(job.claimed_url, job, request)
    try:
        url = _claim_in_database(job, request) if jobs_settings().ARCHIVE else _run_hook(job, request)
    except ClaimFailed:
        _quietly(job.release)
        raise
    _quietly(lambda: job.mark_claimed(url))
    return url


def _lease(job: Job) -> bool:
    """Return True when it is ours to claim, False when it has been claimed; wait while somebody is at it."""
    if job.claimed_url:
        return False
    give_up = monotonic() + 2 * jobs_settings().READY_LEASE
    try:
        while not job.lease(jobs_settings().READY_LEASE) and monotonic() < give_up:
            sleep(LOOK_AGAIN)
            job.refresh()
    except StoreUnavailable:
        if not jobs_settings().ARCHIVE:
            raise
        return True  # the database alone decides
    except JobError:
        return not job.claimed_url
    return True


def _claim_in_database(job: Job, request: HttpRequest) -> str:
    url = _claim_row(job, request)
    if not url and archive(job.record):  # the worker has not got so far yet, or knew less
        url = _claim_row(job, request)
    if not url:
        raise ClaimFailed(f"Job {job.id} could not be archived, so it could not be claimed.")
    return url


def _claim_row(job: Job, request: HttpRequest) -> str:
    """Return where to go, or "" if this outcome is not in the archive."""
    rows = JobRecord.objects.filter(pk=job.id)
    with transaction.atomic():
        same_outcome = rows.filter(claimed_at=None, state=job.state, ended_at=to_datetime(job.record.ended_at))
        if same_outcome.update(claimed_at=timezone.now()):
            url = _run_hook(job, request)
            rows.update(claimed_url=url)
            return url
    return rows.values_list("claimed_url", flat=True).first() or ""


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
        if hasattr(request, "_messages"):  # what the hook has said must not be said again by its next run
            request._messages = default_storage(request)
        raise ClaimFailed(f"The hook of job {job.id} failed.") from error


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except JobError as error:
        logger.info("the store was not told of a claim: %s", error)
