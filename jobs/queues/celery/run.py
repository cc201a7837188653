"""The run of a task that goes on here.

Context variables carry it into the coroutines and threads that the task starts. It is never kept
where two runs could meet: the request that Celery shows to other threads is one for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.job import Job


class Run:
    """One run of a task: the job that the task sees, and the stored one that learns how the run ends."""

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
def going_on(run: Run) -> Iterator[None]:
    """Let the code inside, and what it starts, belong to this run."""
    token = _run.set(run)
    try:
        yield
    finally:
        run.is_over = True
        _run.reset(token)


def run_here() -> Run | None:
    """Return the run that this code belongs to.

    None outside of a run, in a thread that context variables do not reach, and after the run's
    end: a thread that is kept for later runs must not take them for the one that started it.
    """
    run = _run.get()
    return None if run is None or run.is_over else run
