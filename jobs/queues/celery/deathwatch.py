"""Tells the pool of a prefork worker at once when one of its processes has died.

Celery notices a closed pipe, a moment before it can wait for the process, and checks again only
after 5 s. Until then it gives new tasks to the dead process. A pidfd is readable as soon as the
process can be waited for (pidfd_open(2)). Where there is none (not Linux), and in pools without
processes, Celery's own check must do.
"""

import os
from collections.abc import Callable
from typing import Any

from kombu.asynchronous import get_event_loop

from jobs.runtime.per_process import per_process


class Deathwatch:
    """Watches processes from the worker's own event loop; the pool sets `on_death`."""

    def __init__(self) -> None:
        self.on_death: Callable[[], Any] = lambda: None
        self._fds: dict[int, int] = {}

    def watch(self, pid: int) -> None:
        """Watch a process until it dies.

        Repeat this with each of its tasks, because a lost broker empties the event loop.
        """
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
        self.on_death()


@per_process
def deathwatch() -> Deathwatch:
    """Return the watch over this worker's processes."""
    return Deathwatch()
