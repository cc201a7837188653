"""Redis's protocol, as far as it is written and read here where redis-py takes several times as long.

After https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from collections.abc import Sequence
from typing import Any


class Incomplete(Exception):
    """The rest has not come yet."""


class Refusal(str):
    """What Redis answers to a command that it does not carry out."""


def pack(command: Sequence[Any]) -> bytes:
    """Return a command as it is sent."""
    packed = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")
        packed.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(packed)


def parse(data: bytes, at: int) -> tuple[Any, int]:
    """Return the value that begins there, and where the next one does; raises `Incomplete`, `ValueError`.

    Texts and lists of them are told apart; a number or any other simple value is its text.
    """
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, text, at = data[at : at + 1], data[at + 1 : end], end + 2
    if kind == b"$":
        return (None, at) if text == b"-1" else _bulk(data, at, at + int(text))
    if kind in b">*":
        values = []
        for _ in range(int(text)):
            value, at = parse(data, at)
            values.append(value)
        return values, at
    return (Refusal(text.decode(errors="replace")) if kind == b"-" else text), at


def _bulk(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    if len(data) < end + 2:
        raise Incomplete
    return data[start:end], end + 2
