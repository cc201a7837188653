"""How a run ends its job, whichever queue has run it.

Nothing here raises if the store refuses, because that would fail a task that went well.
"""

import secrets
from collections.abc import Callable

from celery.exceptions import SoftTimeLimitExceeded, TaskPredicate
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.exceptions import JobError, is_cancel
from jobs.job import Job
from jobs.logs import get_logger
from jobs.states import JobState

logger = get_logger(__name__)

INTERRUPTED = gettext_lazy("The work was interrupted before it was done.")
TOO_LONG = gettext_lazy("The work took too long and was stopped.")


def end(job: Job, state: JobState, error: str = "") -> None:
    """End a job that has not ended yet; log what the store refuses."""
    if not job.is_ended:
        unless_too_late(lambda: job.end(state, error))


def end_after(job: Job, error: BaseException | None) -> None:
    """End a job as its task has ended: well, by a cancel, or by this error."""
    with translation.override(job.language or None):
        if error is None:
            end(job, JobState.COMPLETE)
        elif is_cancel(error):
            end(job, JobState.CANCELLED)
        else:
            end(job, JobState.FAILED, explain(job, error))


def explain(job: Job, error: BaseException) -> str:
    """Return the text for the owner of a failed job.

    A `JobError` is written for the owner. For any other error the owner gets a neutral sentence,
    and a reference by which the error is found in the log.
    """
    if isinstance(error, JobError):
        return str(error)
    if isinstance(error, TaskPredicate):
        return str(INTERRUPTED)
    if isinstance(error, SoftTimeLimitExceeded):
        return str(TOO_LONG)
    reference = secrets.token_hex(4)
    logger.error("job %s failed (reference %s)", job.id, reference, exc_info=error)
    return _(
        "Something went wrong. If you ask for help, please give this reference: %(reference)s."
    ) % {"reference": reference}


def unless_too_late(action: Callable[[], None]) -> None:
    """Run the action; log it if its job has ended before."""
    try:
        action()
    except JobError as problem:
        logger.warning("too late: %s", problem)
