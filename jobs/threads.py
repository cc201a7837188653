"""Synchronous code, called from an event loop."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run it in the thread where Django's database connections are.

    Connections that are broken or too old are closed before, as before a request.
    """
    return await sync_to_async(_with_fresh_connections)(action, *args, **kwargs)


def _with_fresh_connections(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    close_old_connections()
    return action(*args, **kwargs)
