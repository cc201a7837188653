"""`JobTask`: a Celery task that somebody waits for.

A view starts it here. What a worker does with it is in `delivery` and `attempt`.
"""

import inspect
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from celery import Task
from celery.canvas import Signature
from celery.contrib.django.task import DjangoTask
from celery.exceptions import Ignore
from celery.utils.functional import head_from_fun
from django.http import HttpRequest

from jobs.exceptions import JobCancelled, JobEnded, JobError, StoreUnavailable
from jobs.handlers import JobHandler
from jobs.job import Job
from jobs.logs import get_logger
from jobs.queues.arguments import as_data, kinds_of, named, require_names
from jobs.queues.detached_job import detached_job
from jobs.queues.submission import draft_for, submit
from jobs.queues.task_functions import require_plain
from jobs.queues.unique_keys import OWNER, key_given, key_of_call, require_scope
from jobs.repository import HandlerClass
from jobs.runtime.event_loops import outside_event_loops
from jobs.states import JobState
from jobs.store import records

from .attempt import Attempt
from .canvas_parts import add_parts, replace_run
from .current_run import Run, current, current_run
from .headers import HEADER, PART, delay_of, stored_header
from .redaction import redacted
from .sending import give_to_broker, send_task

logger = get_logger(__name__)


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
    Request = "jobs.queues.celery.parent:JobRequest"
    dont_autoretry_for: tuple[type[BaseException], ...] = (JobCancelled, JobEnded)
    # the task means such an error for the job's owner, so Celery logs it without a traceback
    throws = (JobError,)
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
        if "__header__" not in cls.__dict__:  # Celery gives it to functions only
            cls.__header__ = staticmethod(head_from_fun(cls.run, bound=is_bound))

    @property
    def job(self) -> Job:
        """The job of this run. A plain `delay()` has one too, which is stored nowhere.

        The coroutines and threads that the task starts get the same one. Raises `RuntimeError`
        outside of a run, and in a thread that context variables do not reach (a plain `Thread` or
        `ThreadPoolExecutor`): take `job = self.job` first and use `job` in the thread.
        """
        run: Run | None = getattr(self.request_stack.top, "jobs_run", None) or current_run()
        if run is None:
            raise RuntimeError(
                f"{self.name}: `self.job` was used where no run of the task is known, for example "
                "in a thread that the task has started. Write `job = self.job` in the task first, "
                "and use `job` in the thread."
            )
        return run.job

    def start_job(self, request: HttpRequest | None, /, *args: Any, **kwargs: Any) -> Job:
        """Start the task as a job of the request's user or visitor.

        The task gets the arguments as `delay` sends them. The job's data holds each under its
        name, except for those of `exclude_from_data`. A UUID, date, time or Decimal is held as its
        text. See `submit_job` for times, errors and guarantees.
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
        """Store the job, then send the task: both on commit, or at once outside a transaction.

        Until then the returned job is a draft: its id, address and data can be used. The owner is
        the request's user or visitor, unless one is given. If the broker takes no messages, the
        job fails and the error is logged, so the view can redirect as always. Raises `TypeError`
        for arguments that the task does not take, and what `JobRepository.create` raises; then
        nothing is stored or sent.

        `unique` is a key in place of the task's `unique_on`. While a job with that key is alive,
        it is returned, with `is_reused`, and nothing is stored or sent. Raises
        `JobAlreadyRunning` if it is another owner's, which is possible with the scope "everyone".
        """
        args, kwargs, data = list(args), dict(kwargs or {}), data or {}
        if self.typing:
            self.__header__(*args, **kwargs)
        draft = draft_for(
            request,
            handler_class or self.handler_class,
            data=data,
            tags=tags,
            owner=owner,
            job_id=celery_options.pop("task_id", None),
        )
        draft.record = draft.record.replace(kinds=kinds_of(named(self.run, args, kwargs), data))
        return submit(
            draft,
            partial(send_task, self, draft, args, kwargs, celery_options),
            start_timeout=self.start_timeout,
            delay=delay_of(celery_options),
            key=self._unique_key(unique, args, kwargs),
            scope=self.unique_scope if unique_scope is None else unique_scope,
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
            shown = redacted(self.run, self.exclude_from_data, args or (), kwargs or {})
            options = {**shown, **options}
        options |= {"task_id": task_id, "headers": headers}
        return give_to_broker(partial(super().apply_async, args, kwargs, **options))

    def apply(self, args: Any = None, kwargs: Any = None, *others: Any, **options: Any) -> Any:
        """Run the task here as Celery does.

        The task of a job raises nothing, because the job fails instead. It may run inside an event
        loop.
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
            with current(Run(detached_job(self.request.id))):
                return super().__call__(*args, **kwargs)
        return Attempt(self, self.start_timeout).run(args, kwargs)

    def retry(self, *args: Any, **options: Any) -> Any:
        """Retry the task as Celery does; raise `JobCancelled` if its job was asked to stop."""
        run = current_run()
        if run is not None and run.stored is not None and _is_asked_to_stop(run.stored):
            raise JobCancelled(f"Job {run.stored.id} was asked to stop.")
        return super().retry(*args, **options)

    def replace(self, sig: Signature) -> Any:
        """Replace the task as Celery does, by a task or a canvas; the job ends when that does.

        Raises `TypeError`, before anything is sent, if a task in it is no `JobTask`.
        """
        run = current_run()
        if run is None or run.stored is None:
            return super().replace(sig)
        sig = sig.clone()
        replace_run(run, run.stored, sig, JobTask, self.request.id)
        run.is_replaced = True
        try:
            return super().replace(sig)
        except Exception as error:
            run.is_replaced = isinstance(error, Ignore) or self.request.is_eager
            raise

    def add_to_chord(self, sig: Signature, lazy: bool = False) -> Any:
        """Add a task to the chord as Celery does; the job waits for its end too."""
        run = current_run()
        if self.request.chord and run is not None and run.stored is not None and run.is_part:
            add_parts(run.stored, sig, JobTask)
        return super().add_to_chord(sig, lazy)

    def _unique_key(self, given: str | None, args: list[Any], kwargs: dict[str, Any]) -> str:
        if given is not None:
            return key_given(given)
        if self.unique_on is None:
            return ""
        return key_of_call(self.name, self.run, self.unique_on, args, kwargs)


def _header(task_id: str | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header of a stored job's task or of a plain task; none if the store is down."""
    if task_id is None:
        return {HEADER: {}}
    try:
        return {HEADER: stored_header(task_id, kwargs)}
    except StoreUnavailable as error:
        logger.warning("sent as a plain task: %s", error)
        return {}


def _is_asked_to_stop(job: Job) -> bool:
    """Ask the store whether the job shall stop. If the store does not answer, it goes on."""
    try:
        record = records.read(job.id).record
    except StoreUnavailable:
        return False
    return record is not None and (record.cancel_asked or record.state is JobState.CANCELLED)
