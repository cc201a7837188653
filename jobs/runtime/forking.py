"""Keeps a process from forking while one of its threads uses a database connection.

SQLite keeps the locks of a process in its memory as well as in the file. A child that is forked in the middle of a
transaction inherits them, with no one to give them up, and waits for itself for ever (sqlite.org/howtocorrupt.html,
2.6). It concerns the worker's parent, which replaces a dead process at the moment when it archives that one's job.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .per_process import per_process

FORK_WAIT = 10.0  # seconds that a fork waits at most


class _Fork(threading.local):
    """What a forking thread has to give back."""

    is_held = False


_fork = _Fork()


@per_process
def _lock() -> threading.Lock:
    return threading.Lock()


@contextmanager
def no_fork() -> Iterator[None]:
    """Let forks wait until the end of the block; the connection has to be closed in it."""
    with _lock():
        yield


def _before() -> None:
    _fork.is_held = _lock().acquire(timeout=FORK_WAIT)


def _after_in_parent() -> None:
    if _fork.is_held:
        _lock().release()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent)
