"""Keeps a process from forking while one of its threads uses a database connection.

SQLite keeps the locks of a process in its memory as well as in the file. A child that is forked
in the middle of a transaction inherits these locks, but not the thread that would release them.
Its first query then never ends (sqlite.org/howtocorrupt.html, 2.6). The worker's parent is
affected: it replaces a dead child at the same moment at which it archives that child's job.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .per_process import per_process

FORK_WAIT = 10.0  # seconds that a fork waits for such a thread


class _Fork(threading.local):
    """Whether the forking thread holds the lock, and has to release it."""

    is_held = False


_fork = _Fork()


@per_process
def _lock() -> threading.Lock:
    return threading.Lock()


@contextmanager
def no_fork() -> Iterator[None]:
    """Make forks wait until the end of the block. Close the connection inside the block."""
    with _lock():
        yield


def _before() -> None:
    _fork.is_held = _lock().acquire(timeout=FORK_WAIT)


def _after_in_parent() -> None:
    if _fork.is_held:
        _lock().release()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent)
