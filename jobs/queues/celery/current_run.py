"""The run of a task to which the present code belongs.

Context variables carry it into the coroutines and threads that the task starts. It is not kept on
Celery's request alone, because all threads of a process share that one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jobs.job import Job


class Run:
    """One run of a task: the job that the task sees, and the stored job that the run ends."""

    def __init__(self, job: Job, stored: Job | None = None) -> None:
        self.job = job
        self.stored = stored  # None if nobody waits
        self.is_replaced = False  # another task carries on with the work
        self.is_over = False

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a canvas, which does not see the canvas's job."""
        return self.stored is not None and self.stored is not self.job


_run: ContextVar[Run | None] = ContextVar("jobs_run", default=None)


@contextmanager
def current(run: Run) -> Iterator[None]:
    """Let the code inside the block, and what it starts, belong to this run."""
    token = _run.set(run)
    try:
        yield
    finally:
        run.is_over = True
        _run.reset(token)


def current_run() -> Run | None:
    """Return the run that this code belongs to.

    None outside of a run, and in a thread that context variables do not reach. Also None after the
    run's end: a thread of a pool may keep the context of the run that started it, and must not
    take that run for the next one.
    """
    run = _run.get()
    return None if run is None or run.is_over else run
