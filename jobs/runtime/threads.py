"""Calls synchronous code from an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from .per_process import per_process

P = ParamSpec("P")
T = TypeVar("T")

ARCHIVE_THREADS = 4  # slow queries at a time, each with its own database connection
ARCHIVE_TIMEOUT = 2.0  # seconds that a socket waits for the archive


async def in_thread(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the action in the thread that has Django's database connections.

    Broken and outdated connections are closed first, as before a request.
    """
    return await sync_to_async(_with_fresh_connections)(action, *args, **kwargs)


async def in_archive_thread(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run an action that may wait for the archive's database, without delaying other sockets.

    Raises `TimeoutError` after `ARCHIVE_TIMEOUT` seconds; the action goes on nevertheless.
    """
    run = _archive_threads().submit(_then_close_connections, partial(action, *args, **kwargs))
    return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(run)), ARCHIVE_TIMEOUT)


def _with_fresh_connections(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    close_old_connections()
    return action(*args, **kwargs)


def _then_close_connections(action: Callable[[], T]) -> T:
    try:
        return _with_fresh_connections(action)
    finally:
        close_old_connections()


@per_process
def _archive_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(ARCHIVE_THREADS, thread_name_prefix="jobs-archive")
