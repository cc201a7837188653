"""`django.tasks` as the queue (Django 6.0 and newer), whatever its backend.

Receivers of Django's three signals follow a task that `start_job` has enqueued. The first stores
its job, the second starts it, the third ends it. Importing this module connects them; the module
that defines the tasks imports it anyway. Receivers never raise, because that would fail the task.
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

from jobs.conf import jobs_settings
from jobs.exceptions import JobError, JobNotFound, StoreUnavailable
from jobs.handlers import JobHandler, path_of
from jobs.job import Job
from jobs.logs import get_logger
from jobs.repository import HandlerClass, JobRepository
from jobs.store import records, server

from .arguments import named
from .detached_job import detached_job
from .outcome import end_after
from .submission import draft_for, store_enqueued

try:
    from django.tasks import signals
except ImportError:  # before Django 6.0
    signals = None  # type: ignore[assignment]

logger = get_logger(__name__)

T = TypeVar("T")

_handlers: dict[str, HandlerClass] = {}  # by the tasks' paths
_order: ContextVar["_Order | None"] = ContextVar("jobs_order", default=None)
_current: ContextVar["_Run | None"] = ContextVar("jobs_current_run", default=None)


def handled_by(handler_class: HandlerClass) -> Callable[[T], T]:
    """Name the handler of a task's jobs; stands above `@task`."""

    def register(task: T) -> T:
        _handlers[task.module_path] = path_of(handler_class)  # type: ignore[attr-defined]
        return task

    return register


def start_job(request: HttpRequest | None, task: Any, /, *args: Any, **kwargs: Any) -> Job:
    """Enqueue a task as a job of the request's user or visitor; data holds the arguments by name.

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
    """Enqueue a task as a job with the id of the task's result; return the job as it is then.

    The job is stored at once, and the backend decides when the task is sent. After a rollback
    there is no task, and the job expires after `START_TIMEOUT`.

    Raises `HandlerNotFound`, `UnserializableData`, `StoreUnavailable`, and `ImproperlyConfigured`
    before Django 6.0; then nothing is enqueued. Raises what `enqueue` raises; a job that is stored
    by then fails.
    """
    if signals is None:
        raise ImproperlyConfigured(
            "jobs.django_tasks needs Django 6.0 or newer, which has django.tasks."
        )
    handler = handler_class or _handlers.get(task.module_path, JobHandler)
    order = _Order(draft_for(request, handler, data=data, tags=tags, owner=owner))
    server.ping()
    result = order.enqueue(partial(task.enqueue, *args, **(kwargs or {})))
    job = JobRepository().find(result.id) if order.job else order.store(result.id)
    return _caught_up(job, result)


def current_job() -> Job:
    """Return the job of the task that runs here. A task that nobody waits for has one too."""
    run = _current.get()
    return run.job if run else detached_job()


@dataclass
class _Order:
    """A draft that is stored as soon as its task has been enqueued."""

    draft: Job
    job: Job | None = None

    def enqueue(self, enqueue: Callable[[], T]) -> T:
        """Enqueue the task; fail the job if that raises after it was stored."""
        token = _order.set(self)
        try:
            return enqueue()
        except Exception as error:
            if self.job is not None:
                end_after(self.job, error)
            raise
        finally:
            _order.reset(token)

    def store(self, job_id: str) -> Job:
        """Store the job under the id that the backend has chosen."""
        self.job = store_enqueued(self.draft, job_id)
        return self.job


class _Run(threading.Thread):
    """A task that runs here as a job. The thread gives the job's heartbeat until the task ends."""

    def __init__(self, job: Job) -> None:
        super().__init__(name=f"jobs-heart-{job.id}", daemon=True)
        self.job = job
        self.outer = _current.get()  # an immediate backend runs a task inside another
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(jobs_settings().HEARTBEAT):
            try:
                records.beat([self.job.id], jobs_settings().LOST_AFTER)
            except StoreUnavailable as error:
                logger.warning("no heartbeat for job %s: %s", self.job.id, error)


def on_enqueued(task_result: Any, **_: Any) -> None:
    """Store the job of a task that `submit_job` enqueues."""
    order = _order.get()
    if order is not None and order.job is None:  # not for a task that this task enqueues in turn
        order.store(task_result.id)


def on_started(task_result: Any, **_: Any) -> None:
    """Start the task's job, if it has one."""
    if (job := _find(task_result.id)) is None:
        return
    try:
        job.start()
    except JobError as error:
        logger.warning("job %s: not started: %s", job.id, error)
        return
    run = _Run(job)
    run.start()
    _current.set(run)


def on_finished(task_result: Any, **_: Any) -> None:
    """End the task's job, if it has one."""
    run = _current.get()
    if run is not None and run.job.id == task_result.id:
        run.is_over.set()
        _current.set(run.outer)
        job: Job | None = run.job
    else:  # nobody waits, or the task started before its job was stored
        job = _find(task_result.id)
    if job is not None:
        end_after(job, sys.exc_info()[1])  # Django sends the signal inside its exception handler


def _find(job_id: str) -> Job | None:
    try:
        return JobRepository().find(job_id)
    except JobNotFound:
        return None
    except JobError as error:
        logger.warning("job %s: not found: %s", job_id, error)
        return None


def _data_of(task: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    function = partial(task.func, None) if task.takes_context else task.func
    return named(function, tuple(args), kwargs)


def _caught_up(job: Job, result: Any) -> Job:
    """End a job whose task a very quick worker has finished before the job was stored."""
    if result.task.get_backend().supports_get_result:
        result.refresh()
    if result.is_finished and not job.refresh().is_ended:
        end_after(job, RuntimeError(result.errors[-1].traceback) if result.errors else None)
    return job


if signals is not None:
    for signal, receiver in [
        (signals.task_enqueued, on_enqueued),
        (signals.task_started, on_started),
        (signals.task_finished, on_finished),
    ]:
        signal.connect(receiver, dispatch_uid="jobs.django_tasks")
