"""The messages on the channel layer, and what can be done to an encoded frame."""

from collections.abc import Iterable, Sequence
from typing import Any

from jobs.core.clock import TIME_TO_COME, VERSION_TO_COME
from jobs.core.event_names import CANCELLED, EXPIRED, FAILED, LOST, READY

# The types of messages.
FRAME = "job.frame"
LOGOUT = "job.logout"  # an owner has logged out
BEAT = "hub.beat"  # a hub to itself

Message = dict[str, Any]

_ENDS = tuple(f'{{"event":"{event}"' for event in (READY, FAILED, CANCELLED, EXPIRED, LOST))


def message_of(frame: str, topics: Sequence[str], job_id: str) -> Message:
    """Return the message with a frame. Every topic's group gets the same one."""
    return {
        "type": FRAME,
        "version": str(VERSION_TO_COME),
        "frame": frame,
        "topics": topics,
        "job": job_id,
    }


def stamp(message: Message, version: int, time: str) -> Message:
    """Put in the version and time that were not known yet, as the store's script does."""
    frame = (
        message["frame"]
        .replace(str(VERSION_TO_COME), str(version), 1)
        .replace(TIME_TO_COME, time, 1)
    )
    return message | {"version": str(version), "frame": frame}


def is_end(frame: str) -> bool:
    """Say whether an encoded frame announces an end, without decoding it."""
    return frame.startswith(_ENDS)


def address(frame: str, keys: Iterable[str]) -> str:
    """Add `"for"` to an encoded frame: the subscriptions of one page, by their encoded targets."""
    return f'{frame[:-1]},"for":[{",".join(keys)}]}}'
