"""What the steps of `doctor` have in common: how they say that something is wrong, how they wait, what they send."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from jobs.core import clock
from jobs.push import envelope, frames, publisher
from jobs.store import server

T = TypeVar("T")

PATIENCE = 5.0  # seconds for one step


class Wrong(Exception):
    """What is wrong at a step, and what to do."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(f"{text} {advice}")


def push(topic: str) -> None:
    """Send a frame that no page knows to whoever watches the topic, the way a worker does."""
    frame = frames.encode({"event": "doctor", "job": {"version": clock.VERSION_TO_COME}})
    message = envelope.message_of(frame, [topic], "doctor")
    push = publisher.prepare(message)
    version, _policy = server.check_write(push)
    if push is None:
        publisher.send(envelope.stamp(message, version, ""))


def within(seconds: float, action: Callable[[], T]) -> T:
    """Do it in a thread that nobody waits for longer; raises `TimeoutError`."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)
