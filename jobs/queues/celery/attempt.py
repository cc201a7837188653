"""One run of a task in a worker. It makes the job complete, failed, cancelled or retrying."""

from datetime import datetime
from time import monotonic
from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject, Retry, TaskPredicate
from django.utils import translation

from jobs.exceptions import JobCancelled, JobError, StoreUnavailable, is_cancel
from jobs.job import Job
from jobs.logs import get_logger, logs_of
from jobs.queues.detached_job import detached_copy, detached_job
from jobs.queues.outcome import end, explain, unless_too_late
from jobs.queues.task_functions import finished
from jobs.repository import JobRepository
from jobs.runtime.backlog import backlog_for
from jobs.runtime.replaceable import replaceable
from jobs.states import JobState

from .canvas_parts import begin_part, finish_part
from .current_run import Run, current
from .delivery import Delivery
from .headers import HEADER, PART, delay_of

logger = get_logger(__name__)


class Attempt:
    """The present run of a task: for a job, for a part of a canvas, or for nobody who waits.

    `start_timeout` is the task's own, for its next attempts.
    """

    def __init__(self, task: Task, start_timeout: float | None) -> None:
        self._task = task
        self._request = task.request
        self._start_timeout = start_timeout
        self._delivery = Delivery(task)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the task and tell the job how it goes; raise what Celery must know."""
        headers = self._request.headers or {}
        if headers.get(PART):
            with logs_of(headers[PART]):
                return self._run_part(headers[PART], args, kwargs)
        if HEADER not in headers:
            self._delivery.send_again_if_stored()
        if not headers.get(HEADER):
            return self._run_code(Run(detached_job(self._request.id)), args, kwargs)
        with logs_of(self._request.id), self._delivery:
            job = self._delivery.start_job()
            with translation.override(job.language or None):
                return run_started_job(self, job, args, kwargs)

    def run_job(self, job: Job, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the task of a job that has started."""
        run = Run(job, job)
        try:
            result = self._run_code(run, args, kwargs)
        except Retry as retry:
            when = self._task.default_retry_delay if retry.when is None else retry.when
            self._retry_later(job, when)
            raise
        except Reject as rejected:
            if rejected.requeue:
                self._retry_later(job, 0)
            raise
        if not run.is_replaced:
            end(job, JobState.COMPLETE)
        return result

    def _run_part(self, job_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a part of a canvas. The whole job fails with the first part that fails."""
        job = self._begin_part(job_id)
        run = Run(detached_copy(job.record), job)
        with translation.override(job.language or None):
            result = self._run_code(run, args, kwargs)
        if not run.is_replaced:
            unless_too_late(lambda: finish_part(job, self._request.id))
        return result

    def _begin_part(self, job_id: str) -> Job:
        try:
            job = self._delivery.when_possible(lambda: JobRepository().find(job_id))
            self._delivery.when_possible(lambda: begin_part(job))
        except JobCancelled:
            end(JobRepository().find(job_id), JobState.CANCELLED)
            raise Ignore from None
        except JobError as error:
            logger.info("task not run: %s", error)
            raise Ignore from None
        return job

    def _run_code(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the task's own code, and end the stored job if that raises.

        A cancel becomes `Ignore`, because Celery ends the process for a `BaseException`.
        """
        self._request.jobs_run = run  # for the task's own `after_return` and the like
        try:
            with current(run):
                return finished(self._task.run(*args, **kwargs))
        except Retry:
            raise
        except TaskPredicate as given_up:
            if not (isinstance(given_up, Reject) and given_up.requeue):
                self._fail(run, given_up)
            raise
        except Exception as error:
            self._fail(run, error)
            raise
        except BaseException as error:
            if not is_cancel(error):
                raise
            if run.stored is not None:
                end(run.stored, JobState.CANCELLED)
            raise Ignore from None

    def _fail(self, run: Run, error: Exception) -> None:
        if run.stored is not None and not run.is_replaced:
            end(run.stored, JobState.FAILED, explain(run.stored, error))

    def _retry_later(self, job: Job, when: datetime | float) -> None:
        """Store that the job waits for its next attempt, whose message is already on its way."""
        due = monotonic() + delay_of({"eta" if isinstance(when, datetime) else "countdown": when})
        # `retry(max_retries=…)` of the task's code sets `override_max_retries`
        most = getattr(self._task, "override_max_retries", self._task.max_retries)
        max_attempts = None if most is None else most + 1

        def wait() -> None:
            job.retry(max(0.0, due - monotonic()), max_attempts, self._start_timeout)

        try:
            wait()
        except StoreUnavailable as problem:
            backlog_for(problem).add(wait)
        except JobError as error:  # the next attempt has begun, or the job has ended
            logger.info("job %s: not retrying: %s", job.id, error)


@replaceable
def run_started_job(
    attempt: Attempt, job: Job, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run the attempt's task; `jobs.testing.kill_worker` replaces this."""
    return attempt.run_job(job, args, kwargs)
