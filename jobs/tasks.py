"""Celery tasks that somebody waits for: start one from a view, and its record follows the task from start to end.

`JobTask.__call__` is the one place where a worker starts, completes, cancels and fails a job.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any, TypeVar

from celery import Task, shared_task
from celery.exceptions import Ignore, Retry, SoftTimeLimitExceeded, TaskPredicate
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _

from .access import owner_of
from .backlog import backlog
from .events import HEADER, PART
from .exceptions import JobCancelled, JobEnded, JobError, JobNotFound, StoreUnavailable
from .handlers import JobHandler, path_of
from .job import DetachedJob, Job
from .logs import logs_of
from .message import header_of, record_in
from .record import Record, runner_name
from .repository import HandlerClass, JobRepository
from .states import JobState

logger = logging.getLogger("jobs.tasks")

T = TypeVar("T")

OUTAGE_PAUSE = 5.0  # seconds until a task that could not be started without the store is tried again
DEATHS = 3  # redeliveries after which a task without max_retries is taken for one that kills its worker


class JobTask(Task):
    """A Celery task whose runs can be waited for. `self.job` is the job of this run.

    Options besides Celery's: `handler_class`, and `start_timeout`, the seconds after which a job that no worker has
    started counts as expired (`JOBS["START_TIMEOUT"]` by default). No result backend is needed.
    """

    abstract = True
    Request = "jobs.worker:JobRequest"
    dont_autoretry_for: tuple[type[Exception], ...] = (JobCancelled, JobEnded)
    throws = (JobError,)  # what a task says to its owner is no accident: logged without a traceback
    handler_class: HandlerClass = JobHandler
    start_timeout: float | None = None

    @property
    def job(self) -> Job:
        """The job of this run; inside a plain `delay()` one that keeps to itself."""
        job: Job | None = getattr(self.request, "job", None)
        if job is None:
            self.request.job = job = DetachedJob(Record(id=self.request.id or "", state=JobState.RUNNING))
        return job

    def start_job(self, request: HttpRequest | None, /, **kwargs: Any) -> Job:
        """Start the task as a job of whoever makes the request; the keywords are its arguments and the job's data.

        See `submit_job` for times, errors and guarantees.
        """
        return self.submit_job(request, kwargs=kwargs, data=kwargs)

    def submit_job(
        self,
        request: HttpRequest | None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        handler_class: HandlerClass | None = None,
        data: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        owner: Any = None,
        **celery_options: Any,
    ) -> Job:
        """Store the job's record, then send the task: both when the surrounding transaction commits, or at once.

        Until then the returned job is a draft: id, address and data can be used. The owner is the request's user or
        visitor, unless one is given. A broker that takes no messages makes the job `failed` and is logged, so that the
        view can redirect as always. Raises `TypeError` for arguments that the task does not take, and what
        `JobRepository.create` raises; then nothing is stored or sent.
        """
        args, kwargs = list(args), dict(kwargs or {})
        if self.typing:
            self.__header__(*args, **kwargs)
        if owner is None and request is not None:
            owner = owner_of(request)
        job = JobRepository().draft(
            celery_options.pop("task_id", None), handler_class or self.handler_class, owner, tags, data or {}
        )

        def submit() -> None:
            JobRepository().store_draft(job, self.start_timeout, _delay(celery_options))
            self._send(job, args, kwargs, celery_options)

        on_commit_or_now(submit)
        return job

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; with a job, from its start to its end."""
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        headers = self.request.headers or {}
        if headers.get(PART):
            with logs_of(headers[PART]):
                return self._run_part(headers[PART], args, kwargs)
        if not headers.get(HEADER):
            return self.run(*args, **kwargs)
        with logs_of(self.request.id):
            self.request.job = job = self._started_job()
            with translation.override(job.language or None):
                return self._run_with(job, args, kwargs)

    def _run_with(self, job: Job, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            result = self.run(*args, **kwargs)
        except Retry as retry:
            self._retry_later(job, retry)
            raise
        except TaskPredicate:
            raise
        except JobCancelled:
            self._end(job, JobState.CANCELLED)
            raise Ignore from None
        except Exception as error:
            self._end(job, JobState.FAILED, self._explain(job, error))
            raise
        self._end(job, JobState.COMPLETE)
        return result

    def _run_part(self, job_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a part of a canvas; the job as a whole fails with the first part that does."""
        try:
            job = self._when_store_answers(lambda: JobRepository().find(job_id))
            self._when_store_answers(job.start_part)
        except JobCancelled:
            self._end(JobRepository().find(job_id), JobState.CANCELLED)
            raise Ignore from None
        except JobError as error:
            logger.info("task not run: %s", error)
            raise Ignore from None
        self.request.job = DetachedJob(job.record)
        with translation.override(job.language or None):
            try:
                result = self.run(*args, **kwargs)
            except TaskPredicate:
                raise
            except Exception as error:
                self._end(job, JobState.FAILED, self._explain(job, error))
                raise
        self._quietly(lambda: job.end_part(self.request.id))
        return result

    def _started_job(self) -> Job:
        try:
            job = self._when_store_answers(self._found_job)
            self._when_store_answers(lambda: job.start(runner_name(self.request.hostname, os.getpid())))
            redeliveries = job.attempt - 1 - self.request.retries
            if redeliveries > (DEATHS if self.max_retries is None else self.max_retries):
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
                if self.request.is_eager:
                    raise
            try:
                self.signature_from_request(self.request, countdown=OUTAGE_PAUSE).apply_async()
            except Exception:
                logger.warning("the broker does not take the task back", exc_info=True)
                sleep(OUTAGE_PAUSE)
            else:
                raise Retry("the store is away", when=OUTAGE_PAUSE)

    def _found_job(self) -> Job:
        """Find the job, or write it anew from the message if Redis has lost it."""
        try:
            return JobRepository().find(self.request.id)
        except JobNotFound:
            job = Job(record_in(self.request.id, self.request.headers[HEADER], self.request.kwargs))
            job.restore()
            return job

    def _retry_later(self, job: Job, retry: Retry) -> None:
        """Write down that the job waits for its next attempt, for which the message is on its way already."""
        when = self.default_retry_delay if retry.when is None else retry.when
        due = monotonic() + _delay({"eta" if isinstance(when, datetime) else "countdown": when})
        most = getattr(self, "override_max_retries", self.max_retries)  # what `retry(max_retries=…)` said last

        def wait() -> None:
            job.retry(max(0.0, due - monotonic()), None if most is None else most + 1, self.start_timeout)

        try:
            wait()
        except StoreUnavailable:
            backlog().add(wait)
        except JobError as error:  # the next attempt has begun, or the job has ended
            logger.info("job %s: not retrying: %s", job.id, error)

    def _end(self, job: Job, state: JobState, error: str = "") -> None:
        if not job.is_ended:
            self._quietly(lambda: job.end(state, error))

    def _quietly(self, action: Callable[[], None]) -> None:
        try:
            action()
        except JobError as problem:
            logger.warning("%s: too late: %s", self.name, problem)

    def _explain(self, job: Job, error: Exception) -> str:
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

    def _send(self, job: Job, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> None:
        headers = {**options.pop("headers", {}), HEADER: header_of(job, kwargs)}
        try:
            self.apply_async(args=args, kwargs=kwargs, task_id=job.id, headers=headers, **options)
        except Exception:
            logger.exception("job %s: the broker did not take the task %s", job.id, self.name)
            self._end(job, JobState.FAILED, _("The work could not be started. Please try again later."))


def on_commit_or_now(action: Callable[[], None]) -> None:
    """Do it when the surrounding transaction of the default database commits, or at once if there is none."""
    if connections[DEFAULT_DB_ALIAS].in_atomic_block:
        transaction.on_commit(action)
    else:
        action()


def _delay(celery_options: Mapping[str, Any]) -> float:
    """Return the seconds until a task is due, by its `countdown` or `eta`."""
    if (eta := celery_options.get("eta")) is not None:
        now = datetime.now(UTC) if eta.tzinfo else datetime.now(UTC).replace(tzinfo=None)
        return float(max(0.0, (eta - now).total_seconds()))
    return float(celery_options.get("countdown") or 0)


def terminate(job: Job) -> None:
    """Kill the process that runs a job's task, through Celery's remote control; the job becomes `cancelled`."""
    JobTask._get_app().control.revoke(job.id, terminate=True)


def job_task(
    *args: Any,
    handler_class: HandlerClass = JobHandler,
    dont_autoretry_for: Iterable[type[Exception]] = (),
    **options: Any,
) -> Callable[..., Any] | Any:
    """Make a function a `JobTask`: `shared_task(bind=True, base=JobTask)`, with the name of its handler.

    Takes every option of `shared_task`, and `start_timeout`. A handler's path is looked up at `create`, so tasks and
    handlers may import each other's modules.
    """
    options = {"bind": True, "base": JobTask, "handler_class": path_of(handler_class)} | options
    never_again = (*dont_autoretry_for, *JobTask.dont_autoretry_for)
    return shared_task(*args, dont_autoretry_for=never_again, **options)
