"""List running processes: from /proc on Linux, where `ps` may be missing, else with `ps`."""

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
    """Run a command in a session of its own, and end the whole session with the block.

    If this process is killed, only the command is killed too. It must stop its own children.
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
    """Return all running processes, without zombies."""
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
    """Return the process, or None if it has ended."""
    try:
        state, parent = (
            (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        )
        command = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return None
    return None if state == "Z" else Process(int(folder.name), int(parent), command)


def children(pid: int) -> list[Process]:
    """Return the children of a process."""
    return [process for process in running() if process.parent == pid]


def session(pid: int) -> list[Process]:
    """Return the processes of its session: its descendants, including orphans."""
    return [process for process in running() if session_of(process.pid) == pid]


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def await_end(pid: int, seconds: float = 10) -> None:
    """Poll until nothing of its session runs, because only a parent learns of a child's end."""
    deadline = time.monotonic() + seconds
    while left := session(pid):
        assert time.monotonic() < deadline, f"still running after {seconds} s: {left}"
        time.sleep(0.02)
