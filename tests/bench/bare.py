"""The limit: one Redis subscription and a bare WebSocket server.

No framework, no access check, no stored state.

It runs on uvloop where that is installed, and says so.
"""

import asyncio
import os
import socket
import sys

import redis.asyncio
from websockets.asyncio.server import ServerConnection, serve

try:
    from uvloop import run
except ImportError:
    from asyncio import run

CHANNEL = "bench"

pages: dict[str, set[ServerConnection]] = {}


async def page(connection: ServerConnection) -> None:
    """Register a page under its path, greet it, and forget it when it leaves."""
    key = connection.request.path.strip("/")
    pages.setdefault(key, set()).add(connection)
    await connection.send("hello")
    await connection.wait_closed()
    pages[key].discard(connection)
    if not pages[key]:
        del pages[key]


async def main(number: int) -> None:
    """Forward `<id> <frame>` from the Redis channel to the pages of that id."""
    listener = socket.socket(fileno=number)
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None)
    async with (
        serve(page, sock=listener, compression=None, ping_interval=None),
        client.pubsub() as pubsub,
    ):
        await pubsub.subscribe(CHANNEL)
        sys.stdout.write(f"loop: {type(asyncio.get_running_loop()).__module__}\n")
        sys.stdout.flush()
        async for message in pubsub.listen():
            if message["type"] == "message":
                key, _, frame = message["data"].decode().partition(" ")
                for connection in list(pages.get(key, ())):
                    await connection.send(frame)


if __name__ == "__main__":
    run(main(int(sys.argv[-1])))
