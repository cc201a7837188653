"""Ends jobs from the worker's parent process, for tasks that could not end their job themselves.

A death ends only the attempt that the dead process was working on. A thread does the writing, so a
slow Redis or database never holds the worker up.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.db import connections
from django.utils import translation
from django.utils.functional import Promise

from jobs.exceptions import JobError, StoreUnavailable
from jobs.job import Job
from jobs.logs import get_logger
from jobs.repository import JobRepository
from jobs.runtime.backlog import backlog, backlog_for
from jobs.runtime.forking import no_fork
from jobs.runtime.per_process import per_process
from jobs.states import JobState
from jobs.store import records

logger = get_logger(__name__)

NO_PROCESS = ""  # the runner of a job that waits for its next attempt, and of a canvas
NOBODY = "nobody"  # a runner that no job has


def end_later(
    job_id: str, state: JobState, error: str | Promise = "", runner: str | None = None
) -> None:
    """End a job from the parent's thread.

    With a `runner`, only a job that this runner has or that nobody has started: `NO_PROCESS` ends
    what no process runs, `NOBODY` only what was never started.
    """
    end = partial(_end, job_id, state, error, runner)
    parent_thread().submit(_end_when_store_answers, end)


@per_process
def parent_thread() -> ThreadPoolExecutor:
    """Return the one thread for what the worker's parent must not wait for."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-parent")


def _end_when_store_answers(end: Callable[[], None]) -> None:
    try:
        with no_fork():
            end()
    except StoreUnavailable:
        backlog().add(end)


def _end(job_id: str, state: JobState, error: str | Promise, runner: str | None) -> None:
    try:
        job = JobRepository().find(job_id)
        if job.is_ended or not _concerns(job, state, runner):
            return
        with translation.override(job.language or None):
            _write(partial(job.end, state, str(error), records.new_mark()))
    except StoreUnavailable:
        raise
    except JobError as problem:
        logger.warning("job %s: not %s: %s", job_id, state, problem)
    finally:
        connections.close_all()


def _concerns(job: Job, state: JobState, runner: str | None) -> bool:
    """Return whether the job ends when something has happened to this runner."""
    if runner in (None, job.record.runner) or job.state is JobState.PENDING:
        return True
    if runner not in (NO_PROCESS, NOBODY):
        logger.info("job %s: not %s: it is no longer run by %s", job.id, state, runner)
    return False


def _write(end: Callable[[], None]) -> None:
    """End a job; repeat the write if the store did not answer.

    The repeated write carries the same mark, so the store recognises it if the first was done.
    """
    try:
        end()
    except StoreUnavailable as problem:
        backlog_for(problem).add(end)
