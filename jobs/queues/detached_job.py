"""The job of a run that nobody waits for: it has all verbs and is stored nowhere."""

from jobs.core.record import Record
from jobs.job import Job
from jobs.lifecycle.detached_record import DetachedRecord
from jobs.states import JobState


def detached_job(task_id: str | None = None) -> Job:
    """Return a running job for a plain task."""
    return detached_copy(Record(id=task_id or "", state=JobState.RUNNING))


def detached_copy(record: Record) -> Job:
    """Return a job that starts with this record; what happens to it changes nothing stored."""
    return Job(record, kind=DetachedRecord)
