"""How many jobs the server reads because pages subscribe: for one socket, and for one owner.

A `subscribe` frame is cheap to send, but its answer may be a hundred jobs. So the budget counts
jobs, not frames.
"""

import asyncio
from time import monotonic

from jobs.conf import jobs_settings

DATABASE_COST = 20  # jobs; what one query to the database counts as
SOCKET_BURST = 10  # seconds' worth at once: a page with ten lists, or with 50 archived jobs
OWNER_BURST = 20  # seconds' worth at once: ten tabs, each with a bell and a list of 100 jobs
OWNER_RATE = 3  # times the rate of one socket, in each server process
OWNERS = 10_000  # owners whose budgets are kept; about 2 MB


class Budget:
    """A token bucket of jobs. It fills at a constant rate and holds a few seconds' worth.

    Jobs are spent after the reading, because only then their number is known. The last reading may
    overdraw it.
    """

    __slots__ = ("_burst", "_full_at", "_share", "_turn")

    def __init__(self, burst: float = SOCKET_BURST, share: float = 1) -> None:
        self._burst = burst / share  # seconds that an empty budget takes to fill
        self._share = share
        self._full_at = 0.0
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @property
    def turn(self) -> asyncio.Lock:
        """Return the lock with which one list is read and sent at a time.

        Ten sockets of one owner then take no more of the event loop than one does.
        """
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = loop, asyncio.Lock()
        return self._turn[1]

    @property
    def wait(self) -> float:
        """Return the seconds until something can be read again; 0 if it can be now."""
        return max(0.0, self._full_at - self._burst - monotonic())

    def spend(self, jobs: float) -> None:
        """Take a number of jobs out of the budget."""
        seconds = jobs / (self._share * jobs_settings().MAX_JOBS_PER_SECOND)
        self._full_at = max(monotonic(), self._full_at) + seconds


_of_owners: dict[str, Budget] = {}  # in the order of their last use


def budget_of(owner: str) -> Budget:
    """Return the budget that all sockets of an owner share in this process.

    Memory is bounded, so the budgets that were used least recently are forgotten.
    """
    budget = _of_owners.pop(owner, None) or Budget(OWNER_BURST, OWNER_RATE)
    _of_owners[owner] = budget
    if len(_of_owners) > OWNERS:
        del _of_owners[next(iter(_of_owners))]
    return budget
