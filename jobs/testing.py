"""What a project's own tests need: run jobs without a worker, capture their events, speak to the socket, move the
clock, and inject the faults that happen around a job.

Everything works on the real store, so a test needs a Redis (an embedded one will do).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.http import HttpRequest

from .exceptions import StoreUnavailable
from .job import Job
from .push import publisher
from .push.envelope import Message
from .queues import submission
from .queues.celery.attempt import Attempt
from .queues.celery.headers import HEADER, header_of
from .repository import JobRepository
from .routing import websocket_urlpatterns
from .signals import job_started
from .store import client as store_client
from .store import keys
from .store.push import Push
from .tasks import JobTask

TIMES = (
    "created_at",
    "started_at",
    "ended_at",
    "retry_at",
    "deadline",
    "leased_until",
    "claimed_at",
)  # as in Record


def run_job(
    task: JobTask, request: HttpRequest | None = None, /, *args: Any, **kwargs: Any
) -> Job:
    """Start a job as `start_job` would and run its task to the end, here and now; returns the ended job.

    What the task raises has become the job's failure, as in a worker. A `TestCase`'s transaction, which never
    commits, is not waited for.
    """
    with run_at_once(), _commits_at_once():
        return task.start_job(request, *args, **kwargs).refresh()


def run_job_twice(
    task: JobTask, request: HttpRequest | None = None, /, *args: Any, **kwargs: Any
) -> tuple[Job, Job]:
    """Start a job twice, as a double click does, then run what has been started; return what both starts returned.

    With `unique_on` the second is the first job, and its `is_reused` is True. Everything else is as in `run_job`.
    """
    with run_at_end(), _commits_at_once():
        first, second = (task.start_job(request, *args, **kwargs) for _ in range(2))
    return first.refresh(), second.refresh()


@contextmanager
def run_at_once() -> Iterator[None]:
    """Run every job that is started inside, by a view under test say, at once and in this process.

    Inside a `TestCase` that means on commit: see Django's `captureOnCommitCallbacks(execute=True)`.
    """

    with patch.object(JobTask, "_send", _run_here):
        yield


@contextmanager
def run_at_end() -> Iterator[None]:
    """Keep every job that is started inside waiting, as behind a busy worker, and run them when the block ends.

    So a second start inside meets the first job alive. Inside a `TestCase` jobs are started on commit, as with
    `run_at_once`.
    """
    waiting: list[Callable[[], None]] = []

    def send(*given: Any) -> None:
        waiting.append(partial(_run_here, *given))

    with patch.object(JobTask, "_send", send):
        yield
    for run in waiting:
        run()


@contextmanager
def capture_events() -> Iterator[list[dict[str, Any]]]:
    """Collect the frames that are pushed inside, one for each event, in order; they still reach the pages."""
    captured: list[dict[str, Any]] = []
    really_send = publisher.send

    def send(message: Message) -> None:
        captured.append(json.loads(message["frame"]))
        really_send(message)

    with (
        patch.object(publisher, "prepare", return_value=None),
        patch.object(publisher, "send", send),
    ):
        yield captured


def pass_time(seconds: float, *jobs: Job) -> None:
    """Let so many seconds pass for these jobs, as far as Redis knows: what was to happen meanwhile has happened.

    The clock itself is Redis's and cannot be moved, so the jobs' times are put back: deadlines pass (the next read
    finds a pending job expired, and a running one lost), leases end, estimates change, and after `JOBS["TTL"]` Redis
    has forgotten the job. Nothing is pushed by it. Versions, the archive and tickets stay as they are. Raises
    `ValueError` for a negative number.
    """
    if seconds < 0:
        raise ValueError(f"{seconds} seconds cannot pass; time goes forward.")
    for job in jobs:
        _put_back(keys.job_key(job.id), seconds)


@contextmanager
def broker_away() -> Iterator[None]:
    """Have no broker: a job that is started inside fails with a neutral text, and the view goes on."""
    refusal = ConnectionRefusedError("jobs.testing.broker_away")
    with patch.object(JobTask, "apply_async", side_effect=refusal):
        yield


@contextmanager
def store_away() -> Iterator[None]:
    """Have no Redis: whatever asks it raises `StoreUnavailable`, and what only the archive knows is still found."""
    with patch.object(
        store_client, "fail_fast", side_effect=StoreUnavailable("jobs.testing.store_away")
    ):
        yield


@contextmanager
def pushes_lost() -> Iterator[None]:
    """Lose every push: a page hears nothing until it, or its server, reads the job again."""
    with patch.object(publisher, "prepare", return_value=Push((), b"")):
        yield


@contextmanager
def worker_killed() -> Iterator[None]:
    """Kill the worker of each job that is run inside, before its first line: the job is `running`, and nobody works.

    `pass_time(46, job)` shows it lost.
    """
    with patch.object(Attempt, "_with_job", return_value=None):
        yield


@contextmanager
def cancelled_at_start() -> Iterator[None]:
    """Have somebody press Cancel as soon as a worker has begun; it takes effect at the task's next progress call."""

    def cancel(job: Job, **_: Any) -> None:
        JobRepository().find(job.id).cancel()

    job_started.connect(cancel)
    try:
        yield
    finally:
        job_started.disconnect(cancel)


class JobCommunicator(WebsocketCommunicator):
    """A client of the socket that speaks the protocol; use it with `async with`.

    `session` is the session of who connects (a mapping such as `client.session`), `job` the id of a job to be
    subscribed to from the start.
    """

    def __init__(
        self, session: Any = None, job: str | None = None, origin: str | None = "http://testserver"
    ) -> None:
        path = f"/ws/jobs/{job}/" if job else "/ws/jobs/"
        headers = [(b"host", b"testserver"), *([(b"origin", origin.encode())] if origin else [])]
        super().__init__(URLRouter(websocket_urlpatterns), path, headers=headers)
        self.scope["session"] = {} if session is None else session

    async def __aenter__(self) -> JobCommunicator:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect, unless a time-out has ended the conversation."""
        if not self.future.done():
            await self.disconnect()

    async def subscribe(self, **target: Any) -> dict[str, Any]:
        """Subscribe to `job=ID`, `mine=True` or `tag=TAG`; returns the answer."""
        return await self.ask(action="subscribe", **target)

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame and return the next that comes."""
        await self.send_json_to(frame)
        return await self.next()

    async def next(self, timeout: float = 5) -> dict[str, Any]:
        """Return the next frame; raises `TimeoutError` after some seconds."""
        frame: dict[str, Any] = await self.receive_json_from(timeout)
        return frame

    async def event(self, name: str, timeout: float = 5) -> dict[str, Any]:
        """Wait for an event of this name, passing over others, and return its job."""
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
    task: JobTask, job: Job, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]
) -> None:
    task.apply(
        args=args,
        kwargs=kwargs,
        task_id=job.id,
        headers={HEADER: header_of(job, kwargs)},
        throw=False,
    )


def _commits_at_once() -> AbstractContextManager[object]:
    return patch.object(submission, "on_commit_or_now", lambda action: action())


def _put_back(key: str, seconds: float) -> None:
    stored: Any = store_client.client().hgetall(key)
    past: Any = {
        name: int(stored[name]) - round(seconds * 1_000_000)
        for name in TIMES
        if int(stored.get(name, 0))
    }
    if stored:
        left: Any = store_client.client().ttl(key)
        store_client.client().hset(key, mapping=past)
        store_client.client().expire(key, max(0, left - round(seconds)))
