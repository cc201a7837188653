"""Child processes that never outlive this one, however it ends.

Each child leads a process group of its own. A shell in that group reads from a pipe, and this
process holds the other end. When this process ends or closes the pipe, the shell kills the whole
group, including the children's children. It works wherever there is a POSIX shell.
(Linux's PR_SET_PDEATHSIG misses grandchildren, and fires when the thread that forked ends.)
"""

import re
import signal
import subprocess  # the commands are our own  # nosec B404
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEASH = """\
exec 3<&0 </dev/null
( { trap '' HUP INT TERM; read -r _ <&3; kill -9 0; } & )
exec "$@" 3<&-
"""
KEPT_LINES = 200  # of a child's output, to show why it died
# Seconds to read the rest of the output. It may never end: a process that a task started may have
# left the group.
LAST_WORDS = 2.0


class ProcessError(Exception):
    """A process did not start, has ended, or was not ready in time. The message is one line."""


class Child:
    """A command that runs from now until `stop`, or until this process ends.

    It `has_ended` when its whole group has ended, because then their shared output ends.
    `on_line(child, line)` and `on_exit(child)` are called from threads of this class.
    The command inherits the files `keep_open`. Their numbers must be above 9, because the shell
    uses the lower ones.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        env: dict[str, str] | None = None,
        on_line: Callable[["Child", str], object] = lambda child, line: None,
        on_exit: Callable[["Child"], object] = lambda child: None,
        keep_open: tuple[int, ...] = (),
    ):
        self.name = name
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.has_ended = False
        self._news = threading.Condition()
        self._process = subprocess.Popen(  # noqa: S603 - the commands are our own  # nosec B603
            ["/bin/sh", "-c", LEASH, "sh", *command],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,  # the leash: never written to, only closed
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            process_group=0,
            pass_fds=keep_open,
        )
        self._reader = threading.Thread(target=self._read, args=[on_line], daemon=True)
        self._reader.start()
        self._reaper = threading.Thread(target=self._reap, args=[on_exit], daemon=True)
        self._reaper.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_words(self) -> str:
        """Return the last line that it printed. After an exception, that line names it."""
        return next(
            (line for line in reversed(self.lines) if line.strip()), "it printed nothing"
        ).strip()

    @property
    def obituary(self) -> str:
        """Say how it ended, with its last words."""
        code = self._process.returncode
        how = (
            f"was killed by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with exit code {code}"
        )
        return f"{self.name} {how}: {self.last_words}"

    def await_line(self, pattern: str, seconds: float) -> re.Match[str]:
        """Wait until it prints a line that matches the pattern."""
        search = re.compile(pattern).search
        with self._news:
            self._news.wait_for(lambda: self.has_ended or any(map(search, self.lines)), seconds)
            found = next(filter(None, map(search, self.lines)), None)
        if found is None and self.has_ended:
            raise ProcessError(self.obituary)
        if found is None:
            raise ProcessError(
                f"{self.name} was not ready within {seconds:g} seconds: {self.last_words}"
            )
        return found

    def await_exit(self, seconds: float) -> bool:
        """Wait until it has ended and its output is read. Return whether it has ended."""
        with self._news:
            return self._news.wait_for(lambda: self.has_ended, seconds)

    def await_success(self, seconds: float) -> None:
        """Wait until it has ended without an error."""
        if not self.await_exit(seconds):
            raise ProcessError(
                f"{self.name} took longer than {seconds:g} seconds: {self.last_words}"
            )
        if self._process.returncode:
            raise ProcessError(self.obituary)

    def signal(self, number: int) -> None:
        """Send a signal to the command alone, not to its group."""
        self._process.send_signal(number)

    def stop(self, grace: float = 5.0) -> None:
        """Ask it to end. After that, or after `grace` seconds, kill its whole group."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a paused process would not get the signal
        self.await_exit(grace)
        self.kill()
        self._reaper.join()

    def kill(self) -> None:
        """Kill its whole group at once, without waiting for it."""
        self._process.stdin.close()

    def _read(self, on_line: Callable[["Child", str], object]) -> None:
        with self._process.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line.rstrip())
                    self._news.notify_all()
                on_line(self, line.rstrip())

    def _reap(self, on_exit: Callable[["Child"], object]) -> None:
        self._process.wait()
        self.kill()  # what it left behind in its group
        self._reader.join(LAST_WORDS)
        with self._news:
            self.has_ended = True
            self._news.notify_all()
        on_exit(self)


def manage(*arguments: str) -> list[str]:
    """Return the command that runs one of the project's management commands."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]
