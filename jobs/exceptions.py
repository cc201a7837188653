"""Every error of the jobs app. One base, `JobError`, so that a caller can catch them together.

A `JobError` that a task raises is shown to the person who waits, word for word; every other exception is not.
`JobCancelled` stands apart: it is no error but the end of the run, and an `except Exception` must not swallow it.
"""


class JobError(Exception):
    """Something about a job went wrong; the text may be shown to its owner."""


class JobNotFound(JobError):
    """There is no job of this id, neither alive nor in the archive."""


class JobExists(JobError):
    """A job of this id has been created before."""


class JobAlreadyRunning(JobError):
    """Somebody else's job does this work already, and it was to be done once for everyone.

    The text may be shown. It names neither that job nor its owner.
    """


class JobEnded(JobError):
    """The job has ended, so nothing about it can change any more."""


class JobCancelled(BaseException):
    """Somebody asked the job to stop; raised inside the task by its next progress call.

    Not an `Exception`, like `asyncio.CancelledError`: code that skips a bad item with
    `except Exception`, or that retries on errors, must not go on with a job that was cancelled.
    Only the process that runs the job gets it; anybody else who writes to it gets `JobEnded`.
    """


class JobRunning(JobError):
    """Another worker runs the job, and its heart beats.

    `seconds_left` is the time until the job counts as lost if that worker is silent from now on.
    """

    def __init__(self, text: str, seconds_left: float) -> None:
        super().__init__(text)
        self.seconds_left = seconds_left


class HandlerNotFound(JobError):
    """No `JobHandler` of this dotted path has been loaded."""


class UnserializableData(JobError):
    """A value that is not plain JSON, or too much of it, was given to a job's data."""


class StoreUnavailable(JobError):
    """The Redis that holds the jobs does not answer, or does not take writes."""


class ClaimInProgress(StoreUnavailable):
    """The job's owner is being sent on at this moment; try again when that has ended."""


def is_cancel(error: BaseException | None) -> bool:
    """Say whether an error is a cancel, by itself or in the group that an `asyncio.TaskGroup` raises."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(JobCancelled) is not None
    return isinstance(error, JobCancelled)


def not_found(job_id: str) -> JobNotFound:
    """Return the error for an id that is neither alive nor archived."""
    return JobNotFound(f"There is no job {job_id!r}.")


def exists(job_id: str) -> JobExists:
    """Return the error for an id that has been used."""
    return JobExists(
        f"There is a job {job_id!r} already; an id is the Celery task id and is used once."
    )
