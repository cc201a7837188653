"""Runs the handler's hook of an ended job, in a transaction."""

from django.contrib.messages.storage import default_storage
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest

from jobs.exceptions import JobError
from jobs.job import Job
from jobs.logs import get_logger
from jobs.states import JobState

from .redirects import safe_url

logger = get_logger(__name__)

# The database is locked, has too many connections, or does not answer.
DATABASE_BUSY = OperationalError, InterfaceError


class ClaimFailed(JobError):
    """The handler's hook raised. Its transaction was rolled back, so it may be tried again."""


def run_hook(job: Job, request: HttpRequest) -> str:
    """Run `on_ready` or `on_failed`, and return where the owner goes.

    Raises `ClaimFailed` if the handler raises, but lets a `DATABASE_BUSY` error through.
    """
    try:
        with transaction.atomic():
            return safe_url(_place_after_hook(job, request), job, request)
    except Exception as error:
        logger.exception("job %s: the hook of %s failed", job.id, job.handler_class)
        _drop_messages(request)
        if isinstance(error, DATABASE_BUSY):
            raise
        raise ClaimFailed(f"The hook of job {job.id} failed.") from error


def _place_after_hook(job: Job, request: HttpRequest) -> str:
    handler = job.handler
    if job.state is JobState.COMPLETE:
        handler.on_ready(request)
        return handler.next_url(request)
    handler.on_failed(request)
    return handler.failed_url(request)


def _drop_messages(request: HttpRequest) -> None:
    """Drop the messages that a failed hook has added, because its next run adds them again."""
    if hasattr(request, "_messages"):
        request._messages = default_storage(request)
