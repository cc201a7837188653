"""Frames in: what a client may send, read and checked."""

import json
from typing import Any, NamedTuple

ACTIONS = ("subscribe", "unsubscribe", "ping")
TARGETS = ("job", "mine", "tag")


class BadFrame(Exception):
    """What the client sent does not follow the protocol."""


class ClientFrame(NamedTuple):
    """One frame of a client: the action, its target, and the ticket that came with it."""

    action: str
    target: dict[str, Any]
    ticket: object = None


def parse(text: str) -> ClientFrame:
    """Read a frame. Raises `BadFrame`, whose text says what a frame looks like."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame("A frame is a JSON object.") from None
    if not isinstance(frame, dict) or frame.get("action") not in ACTIONS:
        raise BadFrame("A frame is an object with an action: subscribe, unsubscribe or ping.")
    if frame["action"] == "ping":
        return ClientFrame("ping", {})
    target = {name: frame[name] for name in TARGETS if name in frame}
    match target:
        case {"job": str()} | {"mine": True} | {"tag": str()} if len(target) == 1:
            return ClientFrame(frame["action"], target, frame.get("ticket"))
    raise BadFrame('Name one thing: "job": ID, "mine": true or "tag": TAG.')
