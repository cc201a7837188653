"""A server process of one subject: on a port of its own, on the core of the servers."""

import fcntl
import os
import socket
import sys
import time
from http.client import HTTPConnection, HTTPException

from project.demo.processes import Child, ProcessError

from .usage import cpu_ns, let_run_anywhere, pin_to_last_core, private_kb

HOST = "127.0.0.1"
BACKLOG = 1024  # connections that wait until it has started
START_TIMEOUT = 60.0  # seconds
STOP_GRACE = 0.0  # seconds; it has nothing to save
IDLE_LOOK = 0.1  # seconds between two looks at its processor time
IDLE_SHARE = 0.1  # of a core
IDLE_TIMEOUT = 10.0  # seconds


class Server:
    """Runs `python -m <words> --fd <number>` from now until `stop`, which may be called twice."""

    def __init__(self, words: str, env: dict[str, str]) -> None:
        with socket.create_server((HOST, 0), backlog=BACKLOG) as listener:
            self.port = listener.getsockname()[1]
            number = fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, 10)
        try:
            command = [sys.executable, "-m", *words.split(), "--fd", str(number)]
            self.child = Child(words, command, env, keep_open=(number,))
        finally:
            os.close(number)
        let_run_anywhere(self.child.pid)

    def stop(self) -> None:
        """End it."""
        self.child.stop(STOP_GRACE)

    def await_start(self) -> None:
        """Wait until it answers a request with any status; from then on it keeps to its core."""
        connection = HTTPConnection(HOST, self.port, timeout=START_TIMEOUT)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, HTTPException) as error:
            raise ProcessError(
                f"{self.child.name} does not answer: {error!r}; {self.child.last_words}"
            ) from error
        finally:
            connection.close()
        pin_to_last_core(self.child.pid)

    @property
    def cpu_ns(self) -> int:
        self._require_alive()
        return cpu_ns(self.child.pid)

    @property
    def private_kb(self) -> int:
        self._require_alive()
        return private_kb(self.child.pid)

    def await_idle(self) -> None:
        """Wait until it has finished what it does after its sockets have closed, by looking."""
        give_up = time.monotonic() + IDLE_TIMEOUT
        busy, since = self.cpu_ns, time.monotonic_ns()
        while time.monotonic() < give_up:
            time.sleep(IDLE_LOOK)
            now_busy, now = self.cpu_ns, time.monotonic_ns()
            if now_busy - busy < IDLE_SHARE * (now - since):
                return
            busy, since = now_busy, now

    def _require_alive(self) -> None:
        if self.child.has_ended:
            raise ProcessError(self.child.obituary)
