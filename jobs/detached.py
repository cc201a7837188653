"""The job of a task that nobody waits for."""

from .job import Job
from .record import Record
from .states import JobState
from .store import Change
from .working import clean


class DetachedJob(Job):
    """What `self.job` is when a job's task runs as a plain Celery task: it keeps to itself, and nobody watches."""

    def __init__(self, record: Record, now: int = 0) -> None:
        super().__init__(record.replace(deadline=0), now)  # nobody enforces it, whatever becomes of the job
        self._attempt_held = record.attempt

    def _write(self, new: Record, change: Change, event: str, mark: str = "") -> bool:
        self._progress = {}
        self._know(new)
        return True

    def end(self, state: JobState, error: str = "", mark: str = "") -> None:
        """Remember the end."""
        self._require(self.record, state)
        self._know(self.record.replace(state=state, error=clean(error)))
