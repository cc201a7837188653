"""The errors of the jobs app. All but one have the base `JobError`, so one `except` catches them.

If a task raises a `JobError`, the waiting page shows its text word for word. The text of any other
exception is never shown. `JobCancelled` stands apart: it ends the run of a task, and
`except Exception` must not swallow it.
"""


class JobError(Exception):
    """Something about a job went wrong. Its text may be shown to the job's owner."""


class JobNotFound(JobError):
    """No job has this id, neither in Redis nor in the archive.

    Also raised for a job that the viewer may not see, and for a draft until its transaction has
    committed.
    """


class JobExists(JobError):
    """A job of this id has been created before. Leave the id out to get a new one."""


class JobAlreadyRunning(JobError):
    """Another owner's job does this work already, and it is unique for everyone.

    The text may be shown. It names neither that job nor its owner.
    """


class JobEnded(JobError):
    """The job has ended, so it can no longer change."""


class JobCancelled(BaseException):
    """Somebody asked the job to stop; the task's next progress call raises this.

    It is not an `Exception`, like `asyncio.CancelledError`. Code that skips a bad item with
    `except Exception`, or that retries on errors, must not go on with a job that was cancelled.
    Only the process that runs the job gets it. Any other writer gets `JobEnded`.
    """


class JobRunning(JobError):
    """Another worker runs the job, and its heartbeat still arrives.

    `seconds_left` is the time until the job counts as lost if no more heartbeats come.
    """

    def __init__(self, text: str, seconds_left: float) -> None:
        super().__init__(text)
        self.seconds_left = seconds_left


class HandlerNotFound(JobError):
    """No `JobHandler` of this dotted path has been loaded.

    Put it into the `handlers.py` of an installed app, or import its module at start-up.
    """


class UnserializableData(JobError):
    """A value for a job's data is not plain JSON, or larger than `JOBS["MAX_DATA"]` allows."""


class StoreUnavailable(JobError):
    """The Redis that holds the jobs, or the archive's database, does not answer. Retry later."""


class ClaimInProgress(StoreUnavailable):
    """Another request is claiming the job at this moment. Retry when it is done."""


def is_cancel(error: BaseException | None) -> bool:
    """Return whether an error is a cancel, alone or in the group that a `TaskGroup` raises."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(JobCancelled) is not None
    return isinstance(error, JobCancelled)


def not_found(job_id: str) -> JobNotFound:
    """Return the error for an id that no job has."""
    return JobNotFound(f"There is no job {job_id!r}.")


def exists(job_id: str) -> JobExists:
    """Return the error for an id that has been used."""
    return JobExists(
        f"There is already a job {job_id!r}. "
        "An id is used once, because it is the Celery task id; leave it out to get a new one."
    )
