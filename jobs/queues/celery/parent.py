"""What a worker loads with its first `JobTask`, because the task's `Request` names this module.

That is the request class, the answer to `jobs_doctor`, and the receivers of Celery's signals.
"""

from typing import Any

from celery.signals import task_revoked, task_unknown, worker_ready

from jobs.queues.outcome import INTERRUPTED
from jobs.states import JobState
from jobs.store.project_marker import leave_marker

from . import remote_command
from .deathwatch import deathwatch
from .endings import NO_PROCESS, end_later, parent_thread
from .headers import HEADER, PART
from .request import JobRequest

__all__ = ["JobRequest", "remote_command"]


def on_ready(sender: Any, **_: Any) -> None:
    """Watch over the pool's processes, and leave this process's marker in the store."""
    deathwatch().on_death = sender.pool.maintain_pool
    parent_thread().submit(leave_marker)


def on_revoked(request: Any, expired: bool, **_: Any) -> None:
    """End the job of a task that was revoked, or that came after its `expires`."""
    if not (job_id := _job_id(getattr(request, "headers", None) or {}, request.id)):
        return
    if expired:  # perhaps the second delivery of a message whose job runs elsewhere
        end_later(job_id, JobState.EXPIRED, runner=NO_PROCESS)
    else:
        end_later(job_id, JobState.CANCELLED)


def on_unknown(message: Any, id: str, **_: Any) -> None:  # noqa: A002 - Celery's name
    """Fail the job of a task that this worker does not have."""
    if job_id := _job_id(message.headers, id):
        end_later(job_id, JobState.FAILED, INTERRUPTED, runner=NO_PROCESS)


def _job_id(headers: Any, task_id: str) -> str:
    """Return the job that a message belongs to; "" if nobody waits for it."""
    whole: str = headers.get(PART) or ""
    return whole or (task_id if headers.get(HEADER) else "")


worker_ready.connect(on_ready, dispatch_uid="jobs.worker", weak=False)
task_unknown.connect(on_unknown, dispatch_uid="jobs.worker", weak=False)
task_revoked.connect(on_revoked, dispatch_uid="jobs.worker", weak=False)
