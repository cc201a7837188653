"""Jobs whose work is a `django.tasks` task (Django 6.0 and newer), whatever its backend.

Receivers of Django's three signals follow the task: its job is created when it is enqueued by `start_job`, started and
ended when it is. They are connected by importing this module, which the module of the tasks does anyway; a receiver
never raises, since that would fail the task.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils import translation

from .access import owner_of
from .conf import jobs_settings
from .exceptions import JobError, JobNotFound, StoreUnavailable, is_cancel
from .handlers import JobHandler, path_of
from .job import Job
from .logs import get_logger
from .queues.arguments import named
from .queues.celery.attempt import detached_job, end, explain
from .repository import HandlerClass, JobRepository
from .states import JobState
from .store import records, server

try:
    from django.tasks import signals
except ImportError:  # before Django 6.0
    signals = None  # type: ignore[assignment]

logger = get_logger(__name__)

T = TypeVar("T")

_handlers: dict[str, HandlerClass] = {}  # by the tasks' paths
_orders: ContextVar["_Order | None"] = ContextVar("jobs_orders", default=None)
_runs: ContextVar["_Run | None"] = ContextVar("jobs_runs", default=None)


def handled_by(handler_class: HandlerClass) -> Callable[[T], T]:
    """Name the handler of a task's jobs; stands above `@task`."""

    def register(task: T) -> T:
        _handlers[task.module_path] = path_of(handler_class)  # type: ignore[attr-defined]
        return task

    return register


def start_job(request: HttpRequest | None, task: Any, /, *args: Any, **kwargs: Any) -> Job:
    """Enqueue a task as a job of the request's user or visitor; its data holds the arguments by name.

    See `submit_job` for times, errors and guarantees.
    """
    data = _data_of(task, args, kwargs) if args else kwargs
    return submit_job(request, task, args, kwargs, data=data)


def submit_job(
    request: HttpRequest | None,
    task: Any,
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    handler_class: HandlerClass | None = None,
    data: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    owner: Any = None,
) -> Job:
    """Enqueue a task as a job, whose id is that of the task's result, and return the job as it is then.

    The record is written at once and the backend decides when the task is sent: after a rollback there is no task, and
    the job expires after `START_TIMEOUT`. Raises `HandlerNotFound`, `UnserializableData`, `StoreUnavailable`, and
    `ImproperlyConfigured` before Django 6.0; then nothing is enqueued. What `enqueue` raises is raised too, and a job
    that has been created by then fails.
    """
    if signals is None:
        raise ImproperlyConfigured(
            "jobs.django_tasks needs Django 6.0 or newer, which has django.tasks."
        )
    if owner is None and request is not None:
        owner = owner_of(request)
    handler = handler_class or _handlers.get(task.module_path, JobHandler)
    order = _Order(
        handler, owner, tags if isinstance(tags, str) else tuple(tags), dict(data or {})
    )
    order.check()
    token = _orders.set(order)
    try:
        result = task.enqueue(*args, **(kwargs or {}))
    except Exception as error:
        if order.job is not None:
            _end(order.job, error)
        raise
    finally:
        _orders.reset(token)
    job = JobRepository().find(result.id) if order.job else order.create(result.id)
    return _caught_up(job, result)


def _data_of(task: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    function = partial(task.func, None) if task.takes_context else task.func
    return named(function, tuple(args), kwargs)


def current_job() -> Job:
    """Return the job of the task that runs here; one that keeps to itself if nobody waits for it."""
    run = _runs.get()
    return run.job if run else detached_job()


@dataclass
class _Order:
    """A job that is to be created when its task has been enqueued."""

    handler_class: HandlerClass
    owner: Any
    tags: Iterable[str]
    data: dict[str, Any]
    job: Job | None = None

    def check(self) -> None:
        """Raise what `create` would, before there is a task."""
        JobRepository().draft(None, self.handler_class, self.owner, self.tags, self.data)
        server.ping()

    def create(self, job_id: str) -> Job:
        self.job = JobRepository().create(
            job_id, self.handler_class, self.owner, self.tags, self.data
        )
        return self.job


class _Run(threading.Thread):
    """A task that runs here as a job, and its heart, which beats until it has ended."""

    def __init__(self, job: Job) -> None:
        super().__init__(name=f"jobs-heart-{job.id}", daemon=True)
        self.job = job
        self.outer = _runs.get()  # the run that this one is started in, by an immediate backend
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(jobs_settings().HEARTBEAT):
            try:
                records.beat([self.job.id], jobs_settings().LOST_AFTER)
            except StoreUnavailable as error:
                logger.warning("no heartbeat for job %s: %s", self.job.id, error)


def _on_enqueued(task_result: Any, **_: Any) -> None:
    order = _orders.get()
    if (
        order is not None and order.job is None
    ):  # a task that this one enqueues in turn is another matter
        order.create(task_result.id)


def _on_started(task_result: Any, **_: Any) -> None:
    if (job := _found(task_result.id)) is None:
        return
    try:
        job.start()
    except JobError as error:
        logger.warning("job %s: not started: %s", job.id, error)
        return
    run = _Run(job)
    run.start()
    _runs.set(run)


def _on_finished(task_result: Any, **_: Any) -> None:
    run = _runs.get()
    if run is not None and run.job.id == task_result.id:
        run.over.set()
        _runs.set(run.outer)
        job: Job | None = run.job
    else:  # of nobody who waits, or so quick to start that its record was not there yet
        job = _found(task_result.id)
    if job is not None:
        _end(job, sys.exc_info()[1])  # Django sends the signal inside its exception handler


def _found(job_id: str) -> Job | None:
    try:
        return JobRepository().find(job_id)
    except JobNotFound:
        return None
    except JobError as error:
        logger.warning("job %s: not found: %s", job_id, error)
        return None


def _caught_up(job: Job, result: Any) -> Job:
    """End a job whose task was done, by a very quick worker, before the job's record was there."""
    if result.task.get_backend().supports_get_result:
        result.refresh()
    if result.is_finished and not job.refresh().is_ended:
        _end(job, RuntimeError(result.errors[-1].traceback) if result.errors else None)
    return job


def _end(job: Job, error: BaseException | None) -> None:
    with translation.override(job.language or None):
        if error is None:
            end(job, JobState.COMPLETE)
        elif is_cancel(error):
            end(job, JobState.CANCELLED)
        else:
            end(job, JobState.FAILED, explain(job, error))


if signals is not None:
    for signal, receiver in [
        (signals.task_enqueued, _on_enqueued),
        (signals.task_started, _on_started),
        (signals.task_finished, _on_finished),
    ]:
        signal.connect(receiver, dispatch_uid="jobs.django_tasks")
