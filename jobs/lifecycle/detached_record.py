"""The record of a job that nobody waits for: it is written nowhere."""

from jobs.core.snapshot import JobSnapshot
from jobs.core.transitions import Step, Transition

from .stored_record import StoredRecord


class DetachedRecord(StoredRecord):
    """The record of a task that runs as a plain Celery task. It changes in memory only."""

    def __init__(self, job: JobSnapshot) -> None:
        super().__init__(job)
        job.update(job.record.replace(deadline=0))  # nobody enforces it
        self.attempt_held = job.attempt

    def apply(self, transition: Transition, mark: str = "", is_archived: bool = False) -> Step:
        """Decide, and remember the result."""
        with self.lock:
            step = transition(self.job.record, self.job.now)
            self.job.update(step.record)
            self.pending.progress = {}
        return step

    def announce_ended(self, waits: bool = True) -> None:
        """Tell nobody, because nobody waits."""
