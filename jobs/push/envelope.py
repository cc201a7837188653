"""The message that travels over the channel layer, the same to the group of every topic."""

from collections.abc import Iterable, Sequence
from typing import Any

from jobs.core.clock import TIME_TO_COME, VERSION_TO_COME
from jobs.core.events import CANCELLED, EXPIRED, FAILED, LOST, READY

FRAME = "job.frame"  # the type of the message that carries a frame
LOGOUT = "job.logout"  # the type of the message that somebody has logged out

Message = dict[str, Any]

_ENDS = tuple(f'{{"event":"{event}"' for event in (READY, FAILED, CANCELLED, EXPIRED, LOST))


def message_of(frame: str, topics: Sequence[str], job_id: str) -> Message:
    """Return the message that travels over the channel layer, the same to every topic's group."""
    return {
        "type": FRAME,
        "version": str(VERSION_TO_COME),
        "frame": frame,
        "topics": topics,
        "job": job_id,
    }


def stamp(message: Message, version: int, time: str) -> Message:
    """Put version and time where their place was kept, as the store's script does."""
    frame = (
        message["frame"]
        .replace(str(VERSION_TO_COME), str(version), 1)
        .replace(TIME_TO_COME, time, 1)
    )
    return message | {"version": str(version), "frame": frame}


def is_end(frame: str) -> bool:
    """Say whether an encoded frame tells of an end, without decoding it."""
    return frame.startswith(_ENDS)


def address(frame: str, keys: Iterable[str]) -> str:
    """Return an encoded frame with the subscriptions of one socket that it is for, each encoded, as JSON text."""
    return f'{frame[:-1]},"for":[{",".join(keys)}]}}'
