"""Celery's request of a `JobTask`, in the worker's parent process.

No single hook of Celery sees every death of a task. A hard time limit and a killed child call
`on_failure`, a revoke sends a signal (see `parent`). Nobody sees a killed parent: then the job's
deadline passes, and its first reader finds it lost.
"""

from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded
from celery.worker.request import Request

from jobs.core.record import Record, runner_name
from jobs.queues.outcome import INTERRUPTED, TOO_LONG
from jobs.states import JobState

from .deathwatch import deathwatch
from .endings import NOBODY, end_later
from .headers import HEADER, PART, record_in
from .heartbeat import heart


class JobRequest(Request):
    """The request of a task that may be a job's.

    Of Celery's hooks it can only rely on `on_accepted`, `on_failure` and `on_timeout`.
    """

    _is_requeued = False

    @property
    def job_id(self) -> str:
        """The job that this run is, or is a part of; "" if nobody waits for it."""
        whole: str = self.request_dict.get(PART) or ""
        return whole or (self.id if self.request_dict.get(HEADER) else "")

    @property
    def runner(self) -> str:
        """The process that this run was given to.

        "" for a part of a canvas, because it shares its job with others.
        """
        return "" if self.request_dict.get(PART) else runner_name(self.hostname, self.worker_pid)

    def running(self, known: Record | None) -> Record | None:
        """Return the job's record while this run goes on.

        It follows from the record that is known, or else from the message.
        """
        header = self.request_dict.get(HEADER)
        record = record_in(self.id, header, self.kwargs) if known is None and header else known
        if record is None or record.state not in (JobState.PENDING, JobState.RETRYING):
            return record
        return record.replace(
            state=JobState.RUNNING, attempt=record.attempt + 1, runner=self.runner
        )

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Start the heart with the first job, and watch the process."""
        super().on_accepted(pid, time_accepted)
        if self.job_id:
            heart().start()
            deathwatch().watch(pid)

    def on_failure(
        self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        """End the job unless its task will run again, or the child has ended the job."""
        super().on_failure(exc_info, send_failed_event, return_ok)
        reason = exc_info.exception
        if isinstance(reason, ExceptionWithTraceback):
            reason = reason.exc
        if self.job_id and not self._already_revoked and not self._runs_again(reason):
            error = TOO_LONG if isinstance(reason, TimeLimitExceeded) else INTERRUPTED
            # the child raises these two itself, so it has ended the job if it had started it
            is_from_child = isinstance(reason, Ignore | Reject)
            runner = NOBODY if is_from_child else self.runner
            end_later(self.job_id, JobState.FAILED, error, runner)

    def cancel(self, *args: Any, **options: Any) -> None:
        """End the job if a cold shutdown kills its task, unless the message will come again."""
        super().cancel(*args, **options)
        if self.job_id and self.acknowledged:
            end_later(self.job_id, JobState.FAILED, INTERRUPTED, self.runner)

    def reject(self, requeue: bool = False) -> None:
        """Notice that the message goes back to the queue."""
        self._is_requeued = requeue
        super().reject(requeue)

    def _runs_again(self, reason: BaseException) -> bool:
        return bool(isinstance(reason, Retry) or self._is_requeued or self._already_cancelled)
