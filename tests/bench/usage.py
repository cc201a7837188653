"""What a process uses, and where it may run, as Linux tells it."""

import os
import resource
import time
from contextlib import suppress
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
CPUCLOCK_SCHED = 2  # of linux/posix-timers: a process's time in ns; /proc counts steps of 10 ms


def cpu_ns(pid: int) -> int:
    """Return the nanoseconds that all threads of a process have spent on a processor."""
    return time.clock_gettime_ns(~pid << 3 | CPUCLOCK_SCHED)


def private_kb(pid: int) -> int:
    """Return the kilobytes that belong to this process alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def allow_many_files() -> None:
    """Let this process, and whatever it starts, have as many sockets open as the system allows."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def let_run_anywhere(pid: int) -> None:
    """Let a process that has just begun use every core, whatever it inherited."""
    os.sched_setaffinity(pid, CORES)


def pin_to_last_core(pid: int) -> None:
    """Give a server and its threads a core that nothing else of ours uses, if there are two."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has just ended
            os.sched_setaffinity(int(thread.name), CORES[-1:])


def keep_off_last_core() -> None:
    """Leave that core to the server; whatever this process starts inherits it."""
    os.sched_setaffinity(0, CORES[:-1] or CORES)


def let_go_first(pid: int) -> None:
    """Let a process that stands for another machine (Redis, the pages) run whenever it can.

    Otherwise the worker, which archives the job when Redis has answered, takes their common core
    before Redis has sent the push on, and keeps it for up to 4 ms.
    """
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
