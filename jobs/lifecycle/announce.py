"""Announces an end on the server's side: first the archive's row, then the signal.

The push has gone out before. None of this can fail the job's task.
"""

from functools import partial
from typing import Any

from jobs import signals
from jobs.archive.writer import archive, archive_later, is_in_transaction
from jobs.conf import jobs_settings
from jobs.core.snapshot import JobSnapshot
from jobs.logs import get_logger
from jobs.runtime.event_loops import outside_event_loops

logger = get_logger(__name__)

TIMEOUT = 3.0  # seconds that the listeners may take when an event loop waits for them


def announce_ended(job: JobSnapshot, waits: bool = True) -> None:
    """Archive a job that has just ended, and tell the listeners.

    Another thread archives it a moment later if the database does not take it now, or if
    `waits` is False.
    """
    is_archived = waits and archive(job.record)
    if not is_archived and jobs_settings().ARCHIVE and not is_in_transaction():
        archive_later(job.record)
    send_signal(signals.job_ended, job)


def send_signal(signal: Any, job: JobSnapshot) -> None:
    """Tell the server-side listeners; log what they raise."""
    if not signal.receivers:
        return
    send = partial(signal.send_robust, sender=type(job), job=job)
    for receiver, error in outside_event_loops(send, TIMEOUT):
        if isinstance(error, Exception):
            logger.error("job %s: %r failed", job.id, receiver, exc_info=error)
