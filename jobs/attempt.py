"""One attempt of a task in a worker: the one place where a job is started, completed, failed, cancelled or retried."""

import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from celery.exceptions import Ignore, Retry, SoftTimeLimitExceeded, TaskPredicate
from django.utils import translation
from django.utils.translation import gettext as _

from .backlog import backlog_for
from .detached import DetachedJob
from .events import HEADER, PART
from .exceptions import JobCancelled, JobError, JobNotFound, StoreUnavailable
from .job import Job
from .logs import logs_of
from .message import delay_of, record_in
from .record import runner_name
from .repository import JobRepository
from .states import JobState

if TYPE_CHECKING:
    from .tasks import JobTask

logger = logging.getLogger("jobs.tasks")

T = TypeVar("T")

OUTAGE_PAUSE = 5.0  # seconds until a task that could not be started without the store is tried again
DEATHS = 3  # redeliveries after which a task without max_retries is taken for one that kills its worker


class Attempt:
    """The present run of a task: for a job, for a part of a canvas, or for nobody who waits."""

    def __init__(self, task: "JobTask") -> None:
        self._task = task
        self._request = task.request

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the task and tell the job how it goes; raise what Celery has to know."""
        headers = self._request.headers or {}
        if headers.get(PART):
            with logs_of(headers[PART]):
                return self._as_part(headers[PART], args, kwargs)
        if not headers.get(HEADER):
            return self._task.run(*args, **kwargs)
        with logs_of(self._request.id):
            self._request.job = job = self._started_job()
            with translation.override(job.language or None):
                return self._with_job(job, args, kwargs)

    def _with_job(self, job: Job, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            result = self._task.run(*args, **kwargs)
        except Retry as retry:
            self._retry_later(job, retry)
            raise
        except TaskPredicate:
            raise
        except JobCancelled:
            end(job, JobState.CANCELLED)
            raise Ignore from None
        except Exception as error:
            end(job, JobState.FAILED, explain(job, error))
            raise
        end(job, JobState.COMPLETE)
        return result

    def _as_part(self, job_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a part of a canvas; the job as a whole fails with the first part that does."""
        try:
            job = self._when_store_answers(lambda: JobRepository().find(job_id))
            self._when_store_answers(job.start_part)
        except JobCancelled:
            end(JobRepository().find(job_id), JobState.CANCELLED)
            raise Ignore from None
        except JobError as error:
            logger.info("task not run: %s", error)
            raise Ignore from None
        self._request.job = DetachedJob(job.record)
        with translation.override(job.language or None):
            try:
                result = self._task.run(*args, **kwargs)
            except TaskPredicate:
                raise
            except Exception as error:
                end(job, JobState.FAILED, explain(job, error))
                raise
        unless_too_late(lambda: job.end_part(self._request.id))
        return result

    def _started_job(self) -> Job:
        try:
            job = self._when_store_answers(self._start)
            redeliveries = job.attempt - 1 - self._request.retries
            if redeliveries > (DEATHS if self._task.max_retries is None else self._task.max_retries):
                job.end(JobState.FAILED, _("The work was interrupted again and again."))
        except JobError as error:
            logger.info("task not run: %s", error)
            raise Ignore from None
        if job.is_ended:
            raise Ignore
        return job

    def _when_store_answers(self, action: Callable[[], T]) -> T:
        """Do what comes before the work; while the store is away, put the message back, so that other work is done.

        If the broker is away too, there is no other work, and we wait.
        """
        while True:
            try:
                return action()
            except StoreUnavailable as error:
                logger.warning("task not run yet: %s", error)
                if self._request.is_eager:
                    raise
            try:
                self._task.signature_from_request(self._request, countdown=OUTAGE_PAUSE).apply_async()
            except Exception:
                logger.warning("the broker does not take the task back", exc_info=True)
                sleep(OUTAGE_PAUSE)
            else:
                raise Retry("the store is away", when=OUTAGE_PAUSE)

    def _start(self) -> Job:
        """Start the job: as its message describes it, so that nothing has to be read, or as it has become since."""
        runner = runner_name(self._request.hostname, os.getpid())
        job = Job(record_in(self._request.id, self._request.headers[HEADER], self._request.kwargs))
        if job.state is JobState.PENDING:
            job.believe_archive()
            with suppress(JobNotFound):
                job.start(runner)
                return job
        job = self._found(job)
        job.start(runner)
        return job

    def _found(self, sent: Job) -> Job:
        """Find the job, or write it anew as it was sent if Redis has lost it."""
        try:
            return JobRepository().find(sent.id)
        except JobNotFound:
            sent.restore()
            return sent

    def _retry_later(self, job: Job, retry: Retry) -> None:
        """Write down that the job waits for its next attempt, for which the message is on its way already."""
        when = self._task.default_retry_delay if retry.when is None else retry.when
        due = monotonic() + delay_of({"eta" if isinstance(when, datetime) else "countdown": when})
        # what `retry(max_retries=…)` said last
        most = getattr(self._task, "override_max_retries", self._task.max_retries)

        def wait() -> None:
            job.retry(max(0.0, due - monotonic()), None if most is None else most + 1, self._task.start_timeout)

        try:
            wait()
        except StoreUnavailable as problem:
            backlog_for(problem).add(wait)
        except JobError as error:  # the next attempt has begun, or the job has ended
            logger.info("job %s: not retrying: %s", job.id, error)


def end(job: Job, state: JobState, error: str = "") -> None:
    """End a job, unless it has ended; what the store does not take is logged and does not raise."""
    if not job.is_ended:
        unless_too_late(lambda: job.end(state, error))


def unless_too_late(action: Callable[[], None]) -> None:
    """Do it; a job that has ended meanwhile is logged."""
    try:
        action()
    except JobError as problem:
        logger.warning("too late: %s", problem)


def explain(job: Job, error: BaseException) -> str:
    """Return what the owner is told: a `JobError`'s text, else a neutral sentence and a reference to the log."""
    if isinstance(error, JobError):
        return str(error)
    if isinstance(error, SoftTimeLimitExceeded):
        return _("The work took too long and was stopped.")
    reference = secrets.token_hex(4)
    logger.error("job %s failed (reference %s)", job.id, reference, exc_info=error)
    return _("Something went wrong. If you ask for help, please give this reference: %(reference)s.") % {
        "reference": reference
    }
