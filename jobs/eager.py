"""Tasks that run where they are sent: with `CELERY_TASK_ALWAYS_EAGER`, and in tests."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def outside_event_loops(action: Callable[[], T]) -> T:
    """Run the action, in a thread of its own if an event loop runs here, and wait for it.

    Inside a running loop neither the ORM nor `async_to_sync` works, and a task may use both.
    """
    if not is_in_event_loop():
        return action()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-eager") as executor:
        return executor.submit(copy_context().run, _and_disconnect, action).result()


def is_in_event_loop() -> bool:
    """Say whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _and_disconnect(action: Callable[[], T]) -> T:
    try:
        return action()
    finally:
        connections.close_all()
