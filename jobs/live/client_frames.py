"""What a client may ask of a socket: the frames that it sends, read and checked."""

import json
from typing import Any, NamedTuple

TARGETS = ("job", "mine", "tag")


class BadFrame(Exception):
    """What the client sent is not of the protocol."""


class Asked(NamedTuple):
    """One frame of a client: the action, what it is about, and the ticket that it brings."""

    action: str
    target: dict[str, Any]
    ticket: object = None


def parse(text: str) -> Asked:
    """Read a frame; raises `BadFrame`, saying what one looks like."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame("A frame is a JSON object.") from None
    if not isinstance(frame, dict) or frame.get("action") not in (
        "subscribe",
        "unsubscribe",
        "ping",
    ):
        raise BadFrame("A frame is an object with an action: subscribe, unsubscribe or ping.")
    if frame["action"] == "ping":
        return Asked("ping", {})
    target = {name: frame[name] for name in TARGETS if name in frame}
    match target:
        case {"job": str()} | {"mine": True} | {"tag": str()} if len(target) == 1:
            return Asked(frame["action"], target, frame.get("ticket"))
    raise BadFrame('Name one thing: "job": ID, "mine": true or "tag": TAG.')
