"""How far Redis's clock is ahead of this machine's clock."""

import time
from typing import NamedTuple

from . import server


class ClockSkew(NamedTuple):
    """The difference of the two clocks, correct to within half of `took`."""

    seconds: float  # by which Redis's clock is ahead; negative if it is behind
    took: float  # seconds that the question to Redis took

    @property
    def certain(self) -> float:
        """The seconds ahead, or 0 if they may be due to the question alone."""
        return self.seconds if abs(self.seconds) > self.took else 0.0


def clock_skew() -> ClockSkew:
    """Measure the difference, in one round trip. Raises `StoreUnavailable`."""
    before = time.time()
    return skew_of(server.clock(), before)


def skew_of(redis_clock: int, before: float) -> ClockSkew:
    """Return the difference, from Redis's microseconds in an answer to what we sent `before`."""
    took = time.time() - before
    return ClockSkew(redis_clock / 1_000_000 - before - took / 2, took)
