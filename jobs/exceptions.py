"""Every error of the jobs app. One base, so that a caller can catch them together.

A `JobError` that a task raises is shown to the person who waits, word for word; every other exception is not.
"""


class JobError(Exception):
    """Something about a job went wrong; the text may be shown to its owner."""


class JobNotFound(JobError):
    """There is no job of this id, neither alive nor in the archive."""


class JobExists(JobError):
    """A job of this id has been created before."""


class JobEnded(JobError):
    """The job has ended, so nothing about it can change any more."""


class JobCancelled(JobError):
    """Somebody asked the job to stop; raised inside the task by its next progress call."""


class HandlerNotFound(JobError):
    """No `JobHandler` of this dotted path has been loaded."""


class UnserializableData(JobError):
    """A value that is not plain JSON, or too much of it, was given to a job's data."""


class StoreUnavailable(JobError):
    """The Redis that holds the jobs does not answer, or does not take writes."""


class ClaimInProgress(StoreUnavailable):
    """The job's owner is being sent on at this moment; try again when that has ended."""


def not_found(job_id: str) -> JobNotFound:
    """Return the error for an id that is neither alive nor archived."""
    return JobNotFound(f"There is no job {job_id!r}.")


def exists(job_id: str) -> JobExists:
    """Return the error for an id that has been used."""
    return JobExists(f"There is a job {job_id!r} already; an id is the Celery task id and is used once.")
