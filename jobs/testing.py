"""Help a project's own tests run jobs, capture events, speak to the socket and cause faults.

Everything works on the real store, so a test needs a Redis (an embedded one will do). All context
managers hold for the whole process, and may overlap in several threads.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from inspect import unwrap
from typing import Any, NoReturn, Self

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.http import HttpRequest

from .conf import SOCKET_ROUTE
from .exceptions import StoreUnavailable
from .job import Job
from .push import publisher
from .push.envelope import Message
from .queues import submission
from .queues.celery import attempt, sending
from .queues.celery.headers import HEADER, header_of
from .repository import JobRepository
from .routing import websocket_urlpatterns
from .runtime.replaceable import replaced
from .signals import job_started
from .store import client, keys
from .store.push import Push
from .tasks import JobTask

TIMES = (  # fields of `Record`
    "created_at",
    "started_at",
    "ended_at",
    "retry_at",
    "deadline",
    "leased_until",
    "claimed_at",
)

_captures: list[list[dict[str, Any]]] = []  # the frames of each open `capture_events`


def run_job(
    task: JobTask, request: HttpRequest | None = None, /, *args: Any, **kwargs: Any
) -> Job:
    """Start a job as `start_job` does, run its task here to the end, and return the ended job.

    If the task raises, the job fails, as in a worker. The job does not wait for the transaction of
    a `TestCase`, which never commits.
    """
    with run_immediately(), _commit_immediately():
        return task.start_job(request, *args, **kwargs).refresh()


def run_job_twice(
    task: JobTask, request: HttpRequest | None = None, /, *args: Any, **kwargs: Any
) -> tuple[Job, Job]:
    """Start a job twice, as a double click does, run what has started, and return both jobs.

    With `unique_on` the second is the first job, and its `is_reused` is True. Everything else is
    as in `run_job`.
    """
    with run_at_end(), _commit_immediately():
        first, second = (task.start_job(request, *args, **kwargs) for _ in range(2))
    return first.refresh(), second.refresh()


@contextmanager
def run_immediately() -> Iterator[None]:
    """Run each job that is started inside the block at once, in this process.

    A view under test may start it. Inside a `TestCase` it runs on commit: see Django's
    `captureOnCommitCallbacks(execute=True)`.
    """
    with replaced(sending.send_task, by=_run_here):
        yield


@contextmanager
def run_at_end() -> Iterator[None]:
    """Keep each job that is started inside the block waiting, and run them all when it ends.

    So a second start inside meets the first job alive. Inside a `TestCase` jobs are started on
    commit, as with `run_immediately`.
    """
    waiting: list[Callable[[], None]] = []

    def send(*given: Any) -> None:
        waiting.append(partial(_run_here, *given))

    with replaced(sending.send_task, by=send):
        yield
    for run in waiting:
        run()


@contextmanager
def capture_events() -> Iterator[list[dict[str, Any]]]:
    """Collect the frames that are pushed inside, one an event; they still reach the pages."""
    captured: list[dict[str, Any]] = []
    _captures.append(captured)
    try:
        with (
            replaced(publisher.prepare, by=_prepare_nothing),
            replaced(publisher.send, by=_capture_and_send),
        ):
            yield captured
    finally:
        _captures[:] = [other for other in _captures if other is not captured]


def advance_clock(seconds: float, *jobs: Job) -> None:
    """Let this many seconds pass for these jobs, as far as Redis knows.

    Redis's own clock cannot be moved, so the jobs' times are moved back. Deadlines pass: the next
    read finds a pending job expired, and a running one lost. Leases end, estimates change, and
    after `JOBS["TTL"]` Redis has forgotten the job. This pushes nothing. Versions, the archive and
    tickets stay as they are. Raises `ValueError` for a negative number.
    """
    if seconds < 0:
        raise ValueError(f"{seconds} seconds cannot pass; time goes forward.")
    for job in jobs:
        _move_back(keys.job_key(job.id), seconds)


@contextmanager
def broker_down() -> Iterator[None]:
    """Make the broker refuse messages: a job that is started fails, and the view goes on."""

    def refuse(_publish: Callable[[], Any]) -> NoReturn:
        raise ConnectionRefusedError("jobs.testing.broker_down")

    with replaced(sending.give_to_broker, by=refuse):
        yield


@contextmanager
def store_down() -> Iterator[None]:
    """Make Redis unavailable: its users get `StoreUnavailable`; archived jobs are still found."""

    def refuse() -> NoReturn:
        raise StoreUnavailable("jobs.testing.store_down")

    with replaced(client.fail_fast, by=refuse):
        yield


@contextmanager
def drop_pushes() -> Iterator[None]:
    """Lose every push: a page gets no event until it, or its server, reads the job again."""

    def drop(_message: Message, _channels: object = None) -> Push:
        return Push((), b"")

    with replaced(publisher.prepare, by=drop):
        yield


@contextmanager
def kill_worker() -> Iterator[None]:
    """Kill the worker of each job that runs inside, before the task's first line.

    The job stays `running`, until `advance_clock(46, job)` makes it lost.
    """

    def die(*_: object) -> None:
        pass

    with replaced(attempt.run_started_job, by=die):
        yield


@contextmanager
def cancel_at_start() -> Iterator[None]:
    """Cancel each job as soon as a worker starts it.

    The cancel takes effect at the task's next progress call.
    """

    def cancel(job: Job, **_: Any) -> None:
        JobRepository().find(job.id).cancel()

    job_started.connect(cancel)
    try:
        yield
    finally:
        job_started.disconnect(cancel)


class JobCommunicator(WebsocketCommunicator):
    """A client of the socket that speaks the protocol; use it with `async with`.

    `session` is the visitor's session (a mapping such as `client.session`). `job` is the id of a
    job that it is subscribed to from the start.
    """

    def __init__(
        self, session: Any = None, job: str | None = None, origin: str | None = "http://testserver"
    ) -> None:
        path = f"/{SOCKET_ROUTE}{job}/" if job else f"/{SOCKET_ROUTE}"
        headers = [(b"host", b"testserver"), *([(b"origin", origin.encode())] if origin else [])]
        super().__init__(URLRouter(websocket_urlpatterns), path, headers=headers)
        self.scope["session"] = {} if session is None else session

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect, unless a timeout has ended the conversation."""
        if not self.future.done():
            await self.disconnect()

    async def subscribe(self, **target: Any) -> dict[str, Any]:
        """Subscribe to `job=ID`, `mine=True` or `tag=TAG`, and return the answer."""
        return await self.ask(action="subscribe", **target)

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame and return the next frame that arrives."""
        await self.send_json_to(frame)
        return await self.next()

    async def next(self, timeout: float = 5) -> dict[str, Any]:
        """Return the next frame. Raises `TimeoutError` after `timeout` seconds."""
        frame: dict[str, Any] = await self.receive_json_from(timeout)
        return frame

    async def event(self, name: str, timeout: float = 5) -> dict[str, Any]:
        """Wait for an event of this name, skipping others, and return its job."""
        while (frame := await self.next(timeout))["event"] != name:
            pass
        job: dict[str, Any] = frame["job"]
        return job

    async def close_code(self, timeout: float = 5) -> int:
        """Wait until the server closes, and return its code."""
        while (output := await self.receive_output(timeout))["type"] != "websocket.close":
            pass
        code: int = output["code"]
        return code


def _run_here(
    task: JobTask, job: Job, args: list[Any], kwargs: dict[str, Any], _options: Mapping[str, Any]
) -> None:
    task.apply(
        args=args,
        kwargs=kwargs,
        task_id=job.id,
        headers={HEADER: header_of(job, kwargs)},
        throw=False,
    )


def _commit_immediately() -> AbstractContextManager[None]:
    return replaced(submission.on_commit_or_now, by=lambda action: action())


def _prepare_nothing(_message: Message, _channels: object = None) -> None:
    """Have the message sent by `publisher.send`."""


def _capture_and_send(message: Message) -> None:
    for captured in tuple(_captures):
        captured.append(json.loads(message["frame"]))
    unwrap(publisher.send)(message)


def _move_back(key: str, seconds: float) -> None:
    redis: Any = client.client()
    stored = redis.hgetall(key)
    past = {
        name: int(stored[name]) - round(seconds * 1_000_000)
        for name in TIMES
        if int(stored.get(name, 0))
    }
    if stored:
        left = redis.ttl(key)
        redis.hset(key, mapping=past)
        redis.expire(key, max(0, left - round(seconds)))
