"""What the steps of `jobs_doctor` share: their failure, their time limit and their push."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from jobs.core import clock
from jobs.push import envelope, frames, publisher
from jobs.store import server

T = TypeVar("T")

STEP_TIMEOUT = 5.0  # seconds


class StepFailed(Exception):
    """A step found something wrong. The message says what, and what to do."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(f"{text} {advice}")


def bounded(action: Callable[[], T], extra: float = 0.0) -> T:
    """Run an action for `STEP_TIMEOUT` and some extra seconds at most, or raise `TimeoutError`.

    An action that hangs is left behind in its own daemon thread.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(STEP_TIMEOUT + extra)


def push_probe(topic: str) -> None:
    """Push a frame to all watchers of a topic, as a worker does. No page knows its event."""
    frame = frames.encode({"event": "doctor", "job": {"version": clock.VERSION_TO_COME}})
    message = envelope.message_of(frame, [topic], "doctor")
    push = publisher.prepare(message)
    version, _policy = server.check_write(push)
    if push is None:
        publisher.send(envelope.stamp(message, version, ""))
