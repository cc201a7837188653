"""Tells the pool of a prefork worker at once when one of its processes has died.

Celery is woken by a closed pipe, a moment before the process can be waited for, and then looks again only after 5 s;
meanwhile it also gives new tasks to the dead. A pidfd is readable when the process can be waited for (pidfd_open(2)).
Where there is none (not Linux), and in pools without processes, Celery's own look must do.
"""

import os
from collections.abc import Callable
from typing import Any

from kombu.asynchronous import get_event_loop


class Deathwatch:
    """Watches processes from the worker's own event loop; `look` is what the pool does when one has died."""

    def __init__(self) -> None:
        self.look: Callable[[], Any] = lambda: None
        self._fds: dict[int, int] = {}

    def watch(self, pid: int) -> None:
        """Watch a process until it dies; to be repeated with each of its tasks, as a lost broker empties the loop."""
        loop: Any = get_event_loop()
        if loop is None or pid == os.getpid() or not hasattr(os, "pidfd_open"):
            return
        if pid not in self._fds:
            try:
                self._fds[pid] = os.pidfd_open(pid)
            except OSError:  # it is gone already, or a sandbox forbids it
                return
        if self._fds[pid] not in loop.readers:
            loop.add_reader(self._fds[pid], self._has_died, loop, pid)

    def _has_died(self, loop: Any, pid: int) -> None:
        fd = self._fds.pop(pid)
        loop.remove(fd)
        os.close(fd)
        self.look()
