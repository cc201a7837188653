"""A page that polls as celery-progress' script does: it asks again 500 ms after each answer.

It keeps its connection, as a browser does; a new one for each question would cost the server more.
"""

import asyncio
import time
from collections.abc import Callable

INTERVAL = 0.5  # seconds; `pollInterval` in celery_progress.js
DONE = b'"complete": true'


def request(port: int, path: str, cookie: str) -> bytes:
    """Return the request that asks how the job stands."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n".encode()


class Poller(asyncio.Protocol):
    """One open page; calls `on_done(nanoseconds)` when the answer says that its job is done."""

    def __init__(self, request: bytes, on_done: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._request = request
        self._on_done = on_done
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._buffer = b""
        if b" 200 " not in head[:16]:
            self._fail(head.decode("latin-1"))
        elif DONE in body:
            self._on_done(now)
        else:
            self._loop.call_later(INTERVAL, self._ask)
        if not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("the server closed before the page was open")
        self.closed.set_result(None)

    def close(self) -> None:
        """Leave the page."""
        self._transport.abort()

    def _ask(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._request)

    def _fail(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
