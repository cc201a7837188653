"""Redis's protocol: writes commands, and reads what a subscriber hears.

Specified at https://redis.io/docs/latest/develop/reference/protocol-spec/.

Replaces: redis-py's `pack_command` (for `kept_connection`), and its parser, which awaits the
stream for each line (for `push.subscriber`).
Gains: `pack`: `complete()` takes 122 µs of CPU instead of 132, and 176 µs in all instead of 185
(as in `kept_connection`). `parse`: 3.5 µs of CPU for a message of 900 bytes instead of 13.2.
To be rid of it: delete this module; `kept_connection` then calls `connection.pack_command`, and
`push.subscriber` reads with redis-py's `PubSub`.
"""

from collections.abc import Sequence
from typing import Any


class Incomplete(Exception):
    """The rest of the value has not arrived yet."""


class ErrorReply(str):
    """The text of an error that Redis returned for a command."""


def pack(command: Sequence[Any]) -> bytes:
    """Return a command as bytes to send."""
    packed = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")
        packed.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(packed)


def parse(data: bytes, at: int) -> tuple[Any, int]:
    """Return the value that begins at `at`, and the position after it.

    A list is a list, None is None, and every other value is bytes, or an `ErrorReply`. Raises
    `Incomplete` if the value is cut off, and `ValueError` for a malformed length.
    """
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, text, at = data[at : at + 1], data[at + 1 : end], end + 2
    if kind == b"$":
        return (None, at) if text == b"-1" else _bulk(data, at, at + int(text))
    if kind in b">*":
        return _list(data, at, int(text))
    if kind == b"-":
        return ErrorReply(text.decode(errors="replace")), at
    return text, at


def _bulk(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    if len(data) < end + 2:
        raise Incomplete
    return data[start:end], end + 2


def _list(data: bytes, at: int, length: int) -> tuple[list[Any], int]:
    values = []
    for _ in range(length):
        value, at = parse(data, at)
        values.append(value)
    return values, at
