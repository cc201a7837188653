"""The one place where a test waits for what nobody announces."""

import time
from collections.abc import Callable
from typing import TypeVar

LOOK_AGAIN = 0.05  # seconds; each look may be a request

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], seconds: float = 10) -> Seen:
    """Return what `look` returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not so after {seconds:g} s"
        time.sleep(LOOK_AGAIN)
    return seen
