"""How many jobs a socket and an owner may have read by subscribing: a frame is cheap to send, its answer is not."""

from time import monotonic

from .conf import jobs_settings

DEAR = 10  # jobs that one look-up in the database costs as much as
SOCKET_BURST = 10  # seconds' worth at once: a page with ten lists of 100 jobs opens, or 100 jobs out of the archive
OWNER_BURST = 250  # seconds' worth at once: 100 tabs come back after a restart, each with two lists and ten jobs
OWNER_RATE = 3  # times the rate of one socket, in each server process
OWNERS = 10_000  # whose budgets are kept; some 2 MB


class Budget:
    """Fills up by a rate, to some seconds' worth. What was read is spent afterwards, so the last spender overdraws."""

    __slots__ = ("_burst", "_full_at", "_share")

    def __init__(self, burst: float = SOCKET_BURST, share: float = 1) -> None:
        self._burst = burst / share  # seconds that an empty budget takes to fill
        self._share = share
        self._full_at = 0.0

    @property
    def wait(self) -> float:
        """Return in how many seconds there is something to spend again; 0 if there is now."""
        return max(0.0, self._full_at - self._burst - monotonic())

    def spend(self, jobs: float) -> None:
        """Take so many jobs out of it."""
        seconds = jobs / (self._share * jobs_settings().MAX_JOBS_PER_SECOND)
        self._full_at = max(monotonic(), self._full_at) + seconds


_of_owners: dict[str, Budget] = {}  # in the order of the last use


def budget_of(owner: str) -> Budget:
    """Return the budget that all sockets of an owner share in this process; the least recently used are forgotten."""
    budget = _of_owners.pop(owner, None) or Budget(OWNER_BURST, OWNER_RATE)
    _of_owners[owner] = budget
    if len(_of_owners) > OWNERS:
        del _of_owners[next(iter(_of_owners))]
    return budget
