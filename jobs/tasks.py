"""Make a Celery task that somebody waits for: `@job_task`, and its class `JobTask`."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, overload

from celery import shared_task

from .handlers import JobHandler, path_of
from .job import Job
from .queues.arguments import require_names
from .queues.celery.app import celery_app
from .queues.celery.task import JobTask
from .queues.task_functions import require_plain
from .queues.unique_keys import require_scope
from .repository import HandlerClass

__all__ = ["JobTask", "job_task", "terminate"]


@overload
def job_task(function: Callable[..., Any], /) -> JobTask: ...


@overload
def job_task(
    *,
    handler_class: HandlerClass = ...,
    start_timeout: float | None = ...,
    exclude_from_data: Collection[str] = ...,
    unique_on: Collection[str] | None = ...,
    unique_scope: str = ...,
    dont_autoretry_for: Iterable[type[BaseException]] = ...,
    **options: Any,
) -> Callable[[Callable[..., Any]], JobTask]: ...


def job_task(
    *args: Any,
    handler_class: HandlerClass = JobHandler,
    dont_autoretry_for: Iterable[type[BaseException]] = (),
    exclude_from_data: Collection[str] = (),
    unique_on: Collection[str] | None = None,
    unique_scope: str | None = None,
    **options: Any,
) -> Any:
    """Make a function a `JobTask`: `shared_task(bind=True, base=JobTask)` with a handler.

    Takes every option of `shared_task`, and those of `JobTask`. The handler's path is looked up
    when a job is created, so tasks and handlers may import each other's modules. Raises
    `TypeError` for an `async def`, for a generator function, and for a name in
    `exclude_from_data` or `unique_on` that is no argument.
    """
    options = {"bind": True, "base": JobTask, "handler_class": path_of(handler_class)} | options
    options["dont_autoretry_for"] = (*dont_autoretry_for, *JobTask.dont_autoretry_for)
    if exclude_from_data:  # otherwise the names of the base class hold
        options["exclude_from_data"] = exclude_from_data
    if unique_on is not None:
        options["unique_on"] = unique_on
    if unique_scope is not None:
        require_scope(unique_scope)
        options["unique_scope"] = unique_scope

    def decorate(function: Callable[..., Any]) -> Any:
        require_plain(function)
        is_bound = bool(options["bind"])
        require_names(function, "exclude_from_data", exclude_from_data, is_bound)
        require_names(function, "unique_on", () if unique_on is None else unique_on, is_bound)
        return shared_task(**options)(function)

    return decorate(*args) if args else decorate


def terminate(job: Job) -> None:
    """Kill the process that runs a job's task by Celery's remote control; the job is cancelled."""
    celery_app().control.revoke(job.id, terminate=True)
