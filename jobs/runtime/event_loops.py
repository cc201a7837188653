"""Runs synchronous code that may be called inside an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def outside_event_loops(action: Callable[[], T], timeout: float | None = None) -> T:
    """Run the action and return its result; in a new thread if an event loop runs in this one.

    Inside a running loop neither the ORM nor `async_to_sync` works. Raises `TimeoutError` if the
    thread takes more than `timeout` seconds; the action goes on nevertheless.
    """
    if not is_in_event_loop():
        return action()
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-outside-loop")
    try:
        return executor.submit(copy_context().run, then_disconnect, action).result(timeout)
    finally:
        executor.shutdown(wait=False)


def is_in_event_loop() -> bool:
    """Return whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def then_disconnect(action: Callable[[], T]) -> T:
    """Run the action, then close this thread's connections, because the thread ends after it."""
    try:
        return action()
    finally:
        connections.close_all()
