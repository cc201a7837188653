"""A proxy that passes HTTP on and refuses every WebSocket, as old proxies do."""

import asyncio
from contextlib import suppress

from .proxy import BAD_GATEWAY, Proxy

FORBIDDEN = BAD_GATEWAY.replace(b"502 Bad Gateway", b"403 Forbidden")


class NoWebSocketProxy(Proxy):
    """Stands between a browser and the web server; answers 403 to an upgrade."""

    async def _join(self, reader, writer, first: bytes = b"") -> None:
        with suppress(asyncio.IncompleteReadError):
            first += await reader.readuntil(b"\r\n\r\n")
        if b"upgrade: websocket" in first.lower():
            writer.write(FORBIDDEN)
            await writer.drain()
        else:
            await super()._join(reader, writer, first)
