"""Celery tasks that somebody waits for: start one from a view, and its record follows the task from start to end.

What a worker does with it is an `Attempt`'s.
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, overload

from celery import Task, shared_task
from celery.canvas import Signature
from celery.contrib.django.task import DjangoTask
from celery.exceptions import Ignore
from celery.utils.functional import head_from_fun
from celery.utils.saferepr import saferepr
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .access import owner_of
from .exceptions import JobCancelled, JobEnded, JobError, StoreUnavailable
from .handlers import JobHandler, path_of
from .job import Job
from .logs import get_logger
from .queues.arguments import as_data, kinds_of, named, require_names
from .queues.celery.app import celery_app
from .queues.celery.attempt import Attempt, detached_job, end, header_of_stored
from .queues.celery.headers import HEADER, PART, delay_of, header_of
from .queues.celery.parts import add_parts, hand_on
from .queues.celery.run import Run, going_on, run_here
from .queues.submission import ALREADY_RUNNING, submit
from .queues.task_functions import require_plain
from .queues.unique_keys import OWNER, key_given, key_of_call, require_scope
from .repository import HandlerClass, JobRepository
from .runtime.event_loops import outside_event_loops
from .states import JobState
from .store import records

logger = get_logger(__name__)


HIDDEN = "***"  # in place of an argument that is kept out of data, in Celery's own logs and events


class JobTask(DjangoTask):
    """A Celery task whose runs can be waited for. `self.job` is the job of this run.

    Options besides Celery's:

    * `handler_class`: what the waiting page shows, and what happens when the job is ready.
    * `start_timeout`: the seconds after which a job that no worker has started counts as expired.
      `JOBS["START_TIMEOUT"]` by default.
    * `exclude_from_data`: the names of arguments that `start_job` keeps out of the job's data,
      such as tokens.
    * `unique_on`: the names of the arguments that make two runs the same, `()` for any arguments.
      While such a job is alive, `start_job` returns it instead of starting another one.
    * `unique_scope`: "owner" (each owner has a job of their own) or "everyone".

    No result backend is needed.
    """

    abstract = True
    Request = "jobs.queues.celery.worker:JobRequest"
    dont_autoretry_for: tuple[type[BaseException], ...] = (JobCancelled, JobEnded)
    throws = (
        JobError,
    )  # what a task says to its owner is no accident: logged without a traceback
    handler_class: HandlerClass = JobHandler
    start_timeout: float | None = None
    exclude_from_data: Collection[str] = ()
    unique_on: Collection[str] | None = None
    unique_scope: str = OWNER

    def __init_subclass__(cls, **options: Any) -> None:
        """Check the task's `run`, and have Celery check its arguments as it does for functions."""
        super().__init_subclass__(**options)
        if cls.run is Task.run:
            return
        require_plain(cls.run)
        is_bound = not isinstance(inspect.getattr_static(cls, "run"), staticmethod)
        if "exclude_from_data" in cls.__dict__:  # those of a base class are for all its tasks
            require_names(cls.run, "exclude_from_data", cls.exclude_from_data, is_bound)
        if cls.unique_on is not None:
            require_names(cls.run, "unique_on", cls.unique_on, is_bound)
        require_scope(cls.unique_scope)
        if "__header__" not in cls.__dict__:  # which Celery gives to functions only
            cls.__header__ = staticmethod(head_from_fun(cls.run, bound=is_bound))

    @property
    def job(self) -> Job:
        """The job of this run; inside a plain `delay()` one that keeps to itself.

        The coroutines and threads that the task starts get the same one. Raises `RuntimeError`
        outside of a run, and in a thread that context variables do not reach (a plain `Thread` or
        `ThreadPoolExecutor`): take `job = self.job` first and use `job` in the thread.
        """
        run: Run | None = getattr(self.request_stack.top, "jobs_run", None) or run_here()
        if run is None:
            raise RuntimeError(
                f"{self.name}: `self.job` was used where no run of the task is known, for example "
                "in a thread that the task has started. Write `job = self.job` in the task first, "
                "and use `job` in the thread."
            )
        return run.job

    def start_job(self, request: HttpRequest | None, /, *args: Any, **kwargs: Any) -> Job:
        """Start the task as a job of the request's user or visitor.

        The task gets the arguments as `delay` sends them. The job's data holds each under its name,
        except for those of `exclude_from_data`. A UUID, date, time or Decimal is held as its text.
        See `submit_job` for times, errors and guarantees.
        """
        arguments = named(self.run, args, kwargs).items()
        data = {
            name: as_data(value) for name, value in arguments if name not in self.exclude_from_data
        }
        return self.submit_job(request, args, kwargs, data=data)

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
        unique: str | None = None,
        unique_scope: str | None = None,
        **celery_options: Any,
    ) -> Job:
        """Store the job's record, then send the task: both when the surrounding transaction commits, or at once.

        Until then the returned job is a draft: id, address and data can be used. The owner is the request's user or
        visitor, unless one is given. A broker that takes no messages makes the job `failed` and is logged, so that the
        view can redirect as always. Raises `TypeError` for arguments that the task does not take, and what
        `JobRepository.create` raises; then nothing is stored or sent.

        `unique` is a key in place of the task's `unique_on`. While a job with that key is alive, it is returned, with
        `is_reused`, and nothing is stored or sent. Raises `JobAlreadyRunning` if it is another owner's, which can only
        be with the scope "everyone".
        """
        args, kwargs = list(args), dict(kwargs or {})
        if self.typing:
            self.__header__(*args, **kwargs)
        data = data or {}
        if owner is None and request is not None:
            owner = owner_of(request)
        job = JobRepository().draft(
            celery_options.pop("task_id", None),
            handler_class or self.handler_class,
            owner,
            tags,
            data,
        )
        job.record = job.record.replace(kinds=kinds_of(named(self.run, args, kwargs), data))

        return submit(
            job,
            lambda: self._send(job, args, kwargs, celery_options),
            self.start_timeout,
            delay_of(celery_options),
            self._unique_key(unique, args, kwargs),
            self.unique_scope if unique_scope is None else unique_scope,
        )

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, **options: Any
    ) -> Any:
        """Send the task as Celery does.

        Under the id of a job that `create` has stored it is the task of that job.
        """
        headers = {**(options.pop("headers", None) or {})}
        if HEADER not in headers and PART not in headers:
            headers |= _header(task_id, kwargs or {})
        if self.exclude_from_data:
            options = {**self._representations(args or (), kwargs or {}), **options}
        return super().apply_async(args, kwargs, task_id=task_id, headers=headers, **options)

    def apply(self, args: Any = None, kwargs: Any = None, *others: Any, **options: Any) -> Any:
        """Run the task here as Celery does.

        The task of a job raises nothing, because the job fails instead. It may run inside an event loop.
        """
        run = partial(super().apply, args, kwargs, *others, **options)
        headers = options.get("headers") or {}
        if not (headers.get(HEADER) or headers.get(PART)):
            return run()
        # with `task_eager_propagates` Celery would raise into the view
        return outside_event_loops(partial(run, throw=False))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; with a job, from its start to its end."""
        if self.request.called_directly:
            with going_on(Run(detached_job(self.request.id))):
                return super().__call__(*args, **kwargs)
        return Attempt(self).run(args, kwargs)

    def retry(self, *args: Any, **options: Any) -> Any:
        """Retry the task as Celery does; raise `JobCancelled` if its job was asked to stop."""
        run = run_here()
        if run is not None and run.stored is not None and _is_unwanted(run.stored):
            raise JobCancelled(f"Job {run.stored.id} was asked to stop.")
        return super().retry(*args, **options)

    def replace(self, sig: Signature) -> Any:
        """Replace the task as Celery does, by another or by a canvas, with which its job ends.

        Raises `TypeError`, before anything is sent, if a task in it is no `JobTask`.
        """
        run = run_here()
        if run is None or run.stored is None:
            return super().replace(sig)
        sig = sig.clone()
        hand_on(run, run.stored, sig, JobTask, self.request.id)
        run.is_replaced = True
        try:
            return super().replace(sig)
        except Exception as error:
            run.is_replaced = isinstance(error, Ignore) or self.request.is_eager
            raise

    def add_to_chord(self, sig: Signature, lazy: bool = False) -> Any:
        """Add a task to the chord as Celery does; the job is ready when that has ended too."""
        run = run_here()
        if self.request.chord and run is not None and run.stored is not None and run.is_part:
            add_parts(run.stored, sig, JobTask)
        return super().add_to_chord(sig, lazy)

    def _send(
        self, job: Job, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]
    ) -> None:
        headers = {**options.pop("headers", {}), HEADER: header_of(job, kwargs)}
        try:
            result = self.apply_async(
                args=args, kwargs=kwargs, task_id=job.id, headers=headers, **options
            )
        except Exception:
            logger.exception("job %s: the broker did not take the task %s", job.id, self.name)
            end(job, JobState.FAILED, _("The work could not be started. Please try again later."))
            return
        if getattr(result, "id", job.id) != job.id:
            # a base class that deduplicates has sent nothing, because the same task is running
            logger.warning(
                "job %s: %s was not sent, task %s stands in for it", job.id, self.name, result.id
            )
            end(job, JobState.FAILED, str(ALREADY_RUNNING))
        else:
            refresh_if_eager(job)

    def _unique_key(self, given: str | None, args: list[Any], kwargs: dict[str, Any]) -> str:
        if given is not None:
            return key_given(given)
        return (
            ""
            if self.unique_on is None
            else key_of_call(self.name, self.run, self.unique_on, args, kwargs)
        )

    def _representations(self, args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, str]:
        """Return what Celery's logs and events may show of the arguments."""
        names = [*inspect.signature(self.run).parameters]
        hidden = {place for place, name in enumerate(names) if name in self.exclude_from_data}
        shown = {
            name: HIDDEN if name in self.exclude_from_data else value
            for name, value in kwargs.items()
        }
        return {
            "argsrepr": saferepr(
                tuple(HIDDEN if place in hidden else arg for place, arg in enumerate(args))
            ),
            "kwargsrepr": saferepr(shown),
        }


def _header(task_id: str | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header that names a stored job or marks a plain task; none while the store is away."""
    if task_id is None:
        return {HEADER: {}}
    try:
        return {HEADER: header_of_stored(task_id, kwargs)}
    except StoreUnavailable as error:
        logger.warning("sent as a plain task: %s", error)
        return {}


def _is_unwanted(job: Job) -> bool:
    """Ask the store whether somebody has asked the job to stop; without an answer, nobody has."""
    try:
        record = records.read(job.id).record
    except StoreUnavailable:
        return False
    return record is not None and (record.cancel_asked or record.state is JobState.CANCELLED)


def refresh_if_eager(job: Job) -> None:
    """Bring a job up to date whose task has just been run by `CELERY_TASK_ALWAYS_EAGER`."""
    if celery_app().conf.task_always_eager:
        with suppress(JobError):
            job.refresh()


def terminate(job: Job) -> None:
    """Kill the process that runs a job's task, through Celery's remote control; the job becomes `cancelled`."""
    celery_app().control.revoke(job.id, terminate=True)


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
    """Make a function a `JobTask`: `shared_task(bind=True, base=JobTask)`, with the name of its handler.

    Takes every option of `shared_task`, and those of `JobTask`.
    A handler's path is looked up at `create`, so tasks and handlers may import each other's modules.
    Raises `TypeError` for an `async def`, for a generator function, and for a name in
    `exclude_from_data` or `unique_on` that is no argument.
    """
    options = {"bind": True, "base": JobTask, "handler_class": path_of(handler_class)} | options
    options["dont_autoretry_for"] = (*dont_autoretry_for, *JobTask.dont_autoretry_for)
    if exclude_from_data:  # else those of the base class
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
