"""What a child process uses, read from /proc."""

import os
from pathlib import Path

from project.demo.processes import Child

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(child: Child) -> float:
    """Return the processor time that a child has used so far."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def threads(child: Child) -> int:
    """Return how many threads a child has."""
    return len(list(Path(f"/proc/{child.pid}/task").iterdir()))


def memory(child: Child) -> int:
    """Return how many bytes a child holds in memory."""
    return int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * PAGE_BYTES
