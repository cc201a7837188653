"""The smallest WebSocket client: notes when a frame arrives, answers pings, costs next to nothing.

RFC 6455, as far as a server's small, unmasked frames need it.
"""

import asyncio
import os
import time
from collections.abc import Callable

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="  # the server's answer to it is not checked


def request(port: int, path: str, cookie: str) -> bytes:
    """Return the request that opens a socket, with an Origin as a browser sends it."""
    host = f"127.0.0.1:{port}"
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        f"Cookie: {cookie}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Page(asyncio.Protocol):
    """One open page; `on_text(page, ns, payload)` gets each frame after the greeting."""

    def __init__(
        self,
        request: bytes,
        frame: str,
        greetings: int,
        on_text: Callable[["Page", int, bytes], None],
    ) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._frame = frame.encode()
        self._greetings = greetings
        self._on_text = on_text
        self._buffer = bytearray()
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._buffer += data
        if not self._is_upgraded and not self._upgrade():
            return
        while (frame := self._next_frame()) is not None:
            self._take(now, *frame)
        if self._greetings == 0 and not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(
                error or ConnectionError("the server closed before the page was open")
            )
        self.closed.set_result(None)

    def close(self) -> None:
        """Say goodbye; the server then closes."""
        self._send(CLOSE, (1000).to_bytes(2, "big"))

    def _upgrade(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if b" 101 " not in head[:16]:
            self.opened.set_exception(ConnectionError(head.decode("latin-1")))
            self._transport.close()
            return False
        self._buffer = rest
        self._is_upgraded = True
        if self._frame:
            self._send(TEXT, self._frame)
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        at, length = 2, buffer[1]
        if length > 125:
            at = 4 if length == 126 else 10
            length = int.from_bytes(buffer[2:at], "big")
        if len(buffer) < at + length:
            return None
        frame = buffer[0] & 0xF, bytes(buffer[at : at + length])
        del buffer[: at + length]
        return frame

    def _take(self, now: int, kind: int, payload: bytes) -> None:
        if kind == PING:
            self._send(PONG, payload)
        elif kind == CLOSE:
            self._transport.close()
        elif self._greetings:
            self._greetings -= 1
        else:
            self._on_text(self, now, payload)

    def _send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        size = len(payload)
        length = (
            bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
        )
        self._transport.write(bytes([0x80 | kind]) + length + mask + masked)
