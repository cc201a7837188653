"""A browser of a few lines for `jobs_doctor`: it fetches files and opens WebSockets (RFC 6455).

It knows text frames up to 64 kB and the close frame, and passes over all others.
Each operation blocks for `NETWORK_TIMEOUT` seconds at most.
"""

import json
import secrets
import socket
import ssl
from base64 import b64encode
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

NETWORK_TIMEOUT = 5.0  # seconds
MAX_FILE = 2**20  # bytes

TEXT, CLOSE, FINAL, MASKED = 0x1, 0x8, 0x80, 0x80


class SocketClosed(Exception):
    """The server closed or refused the socket. `code` is the close code or the HTTP status."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class PlainSocket:
    """One WebSocket, for a `with` block. Raises `SocketClosed`, or `OSError` of the network."""

    def __init__(self, address: str, path: str, origin: str) -> None:
        self._connection = _connect(address)
        self._stream = self._connection.makefile("rb")
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {urlsplit(address).netloc}",
            f"Origin: {origin}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {b64encode(secrets.token_bytes(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode())
        status = self._read_status()
        if status != 101:
            self.close()
            raise SocketClosed(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._connection.close()

    def send(self, **frame: Any) -> None:
        """Send a JSON frame."""
        payload, mask = json.dumps(frame).encode(), secrets.token_bytes(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        header = bytes([FINAL | TEXT, MASKED | 126]) + len(payload).to_bytes(2, "big")
        self._connection.sendall(header + mask + masked)

    def receive(self) -> dict[str, Any]:
        """Return the next JSON frame."""
        while True:
            opcode, length = (byte & 0x7F for byte in self._read(2))
            if length >= 126:
                length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
            payload = self._read(length)
            if opcode == CLOSE:
                raise SocketClosed(int.from_bytes(payload[:2], "big"))
            if opcode == TEXT:
                frame: dict[str, Any] = json.loads(payload)
                return frame

    def _read_status(self) -> int:
        status = self._stream.readline(1000).split(b" ")
        while self._stream.readline(10_000).strip():
            pass
        return int(status[1]) if len(status) > 1 and status[1].isdigit() else 0

    def _read(self, length: int) -> bytes:
        read = self._stream.read(length)
        if len(read) < length:
            raise ConnectionError("the server closed the connection")
        return read


class Response(NamedTuple):
    """What a server answers to a browser that fetches a module script."""

    status: int
    content_type: str
    allowed_origin: str  # the header Access-Control-Allow-Origin, or ""
    text: str


def fetch(url: str, origin: str) -> Response:
    """Fetch a file for a page of the origin. Raises `OSError`."""
    parts = urlsplit(url)
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connection_class(parts.netloc, timeout=NETWORK_TIMEOUT)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET", path, headers={"Origin": origin})
        answer = connection.getresponse()
        text = answer.read(MAX_FILE).decode("utf-8", "replace")
        allowed = answer.headers.get("Access-Control-Allow-Origin", "")
        return Response(answer.status, answer.headers.get_content_type(), allowed, text)
    finally:
        connection.close()


def _connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    plain = socket.create_connection((parts.hostname or "", port), NETWORK_TIMEOUT)
    if not is_secure:
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
