"""Runs synchronous code that may be called inside an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def outside_event_loops(action: Callable[[], T], timeout: float | None = None) -> T:
    """Run the action, in a thread of its own if an event loop runs here, and wait for it.

    Inside a running loop neither the ORM nor `async_to_sync` works. The thread is waited for at
    most `timeout` seconds; then `TimeoutError` is raised, and the action goes on.
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
    """Run the action in a thread that ends after it, and close the thread's connections."""
    try:
        return action()
    finally:
        connections.close_all()
