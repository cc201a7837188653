"""What the script publishes together with a write."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.core.clock import TIME_TO_COME, VERSION_TO_COME

_VERSION, _TIME = str(VERSION_TO_COME).encode(), TIME_TO_COME.encode()


class Push(NamedTuple):
    """A payload, and the channels of Redis on which it is published."""

    channels: Sequence[str]
    payload: bytes

    def pieces(self, is_stamped: bool) -> list[bytes]:
        """Cut the payload where the script inserts what only Redis knows.

        That is the version, once in the message and once in the frame. If the write sets a
        timestamp, it is the time as well.
        """
        first, *rest = self.payload.split(_VERSION, 2)
        if rest and is_stamped:
            return [first, *rest[:-1], *rest[-1].split(_TIME, 1)]
        return [first, *rest]
