"""Wait for what nobody announces, by looking until it is so."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PAUSE = 0.05  # seconds between two looks; each may be a request

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], seconds: float = 10) -> Seen:
    """Return what `look` returns as soon as it is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not so after {seconds:g} s"
        time.sleep(PAUSE)
    return seen


async def eventually(look: Callable[[], Seen], seconds: float = 10) -> Seen:
    """Do the same as `until`, without blocking the event loop between two looks."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not so after {seconds:g} s"
        await asyncio.sleep(PAUSE)
    return seen
