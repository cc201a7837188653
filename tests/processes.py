"""Who runs, looked at from outside; of our own, because `ps` is not on every Linux and /proc is only there."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from project.demo.processes import LEASH

PROC = Path("/proc")


class Process(NamedTuple):
    pid: int
    parent: int
    command: str


@contextmanager
def in_a_session(command: list[str], **options) -> Iterator[subprocess.Popen]:
    """Run a command in a session of its own, end it with the block, and make sure that its whole session ends.

    If this process is killed the command is killed too, and nothing else: whatever it started is its own affair.
    """
    pipe = subprocess.PIPE
    leashed = ["/bin/sh", "-c", LEASH, "sh", *command]
    with subprocess.Popen(
        leashed, stdin=pipe, stdout=pipe, text=True, start_new_session=True, **options
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            process.stdin.close()
    await_end(process.pid)


def running() -> list[Process]:
    """Return all processes that run; a zombie does not."""
    if (PROC / "self" / "stat").exists():
        return [process for process in map(read_proc, PROC.glob("[0-9]*")) if process]
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=3) for line in table.stdout.splitlines()]
    return [
        Process(int(pid), int(parent), args)
        for pid, parent, state, args in rows
        if not state.startswith("Z")
    ]


def read_proc(folder: Path) -> Process | None:
    """Return the process unless it has ended."""
    try:
        state, parent = (
            (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        )
        command = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return None
    return None if state == "Z" else Process(int(folder.name), int(parent), command)


def children(pid: int) -> list[Process]:
    """Return the processes whose parent it is."""
    return [process for process in running() if process.parent == pid]


def session(pid: int) -> list[Process]:
    """Return the processes of the session that it leads, or led: its descendants, orphans too."""
    return [process for process in running() if session_of(process.pid) == pid]


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def await_end(pid: int, seconds: float = 10) -> None:
    """Wait until nothing of its session runs; nobody announces the end of someone else's child, so look again."""
    deadline = time.monotonic() + seconds
    while left := session(pid):
        assert time.monotonic() < deadline, f"still running after {seconds} s: {left}"
        time.sleep(0.02)
