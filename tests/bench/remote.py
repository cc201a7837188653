"""An object in a process of its own that answers calls; it ends when its caller ends."""

import fcntl
import os
import socket
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from project.demo.processes import Child, ProcessError

TIMEOUT = 120.0  # seconds for one call; the longest take some ten
STOP_GRACE = 2.0  # seconds


class Remote:
    """Calls the methods of what the module serves, one at a time; `stop` may be called twice."""

    def __init__(self, module: str, env: dict[str, str]) -> None:
        here, there = socket.socketpair()
        number = fcntl.fcntl(there, fcntl.F_DUPFD_CLOEXEC, 10)
        there.close()
        try:
            self.child = Child(
                module, [sys.executable, "-m", module, str(number)], env, keep_open=(number,)
            )
        finally:
            os.close(number)
        self._connection = Connection(here.detach())

    def call(self, method: str, *args: Any) -> Any:
        """Call a method and return what it returns; raises `ProcessError` when it cannot."""
        try:
            self._connection.send((method, args))
            if not self._connection.poll(TIMEOUT):
                raise ProcessError(
                    f"{self.child.name} took longer than {TIMEOUT:g} s for {method}"
                )
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self.child.await_exit(STOP_GRACE)
            raise ProcessError(
                f"{self.child.name} ended in {method}: {self.child.last_words}"
            ) from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        """Let go, and end the process."""
        self._connection.close()
        self.child.stop(STOP_GRACE)


def serve(target: object) -> None:
    """Answer the calls that come through the file of the first argument, until it is closed."""
    connection = Connection(int(sys.argv[1]))
    while True:
        try:
            method, args = connection.recv()
        except EOFError:
            return
        try:
            answer = getattr(target, method)(*args)
        except Exception as error:
            traceback.print_exc()
            answer = ProcessError(f"{method} in {sys.argv[0]}: {error!r}")
        connection.send(answer)
