"""Ways to a server that can go silent: a TCP proxy in a thread, or packets that are dropped.

The proxy can also answer 502, and cut what is open.
"""

import asyncio
import subprocess
import threading
from contextlib import suppress
from typing import Self

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHUNK = 65536  # bytes
HOST = "127.0.0.1"
FAR = "127.0.0.2"  # the same machine; connections to this address can be cut off


class Proxy:
    """Stands between somebody and a server on this machine.

    While it is silent, connections stay open and are accepted, but nothing passes: a half-open
    link. When it speaks again, only new connections work. The old ones stay silent, as when a
    router has forgotten them.
    """

    host = HOST
    redis_options = ()  # that Redis needs, to be reached in this way

    def __init__(self, target_port: int):
        self.target_port = target_port
        self.is_bad_gateway = False
        self._is_silent = False
        self._silences = 0
        self._pipes: set[asyncio.Task] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on a free loopback port."""
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, HOST, 0, backlog=1024))
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close everything."""
        self._server.close()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def silence(self) -> None:
        """Let nothing pass any more, and close nothing."""
        self._is_silent = True
        self._silences += 1

    def speak(self) -> None:
        """Let new connections pass again."""
        self._is_silent = False
        self._silences += 1

    def cut(self) -> None:
        """Close what is open."""
        self._call(self._end_all())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _end_all(self) -> None:
        pipes = set(self._pipes)
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)

    async def _serve(self, reader, writer) -> None:
        pipe = asyncio.current_task()
        self._pipes.add(pipe)
        try:
            if self.is_bad_gateway:
                writer.write(BAD_GATEWAY)
                await writer.drain()
            else:
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._pipes.discard(pipe)
            with suppress(Exception):
                writer.transport.abort()

    async def _join(self, reader, writer, first: bytes = b"") -> None:
        there, back = await asyncio.open_connection(HOST, self.target_port)
        back.write(first)
        ways = [
            asyncio.ensure_future(self._carry(*way)) for way in ((reader, back), (there, writer))
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.transport.abort()

    async def _carry(self, reader, writer) -> None:
        born = self._silences
        while data := await reader.read(CHUNK):
            if born == self._silences and not self._is_silent:
                writer.write(data)
                await writer.drain()


class Packets:
    """The way to a server by another address of this machine; packets can be dropped both ways.

    Needs iptables, and a network namespace of its own. Open connections go on when it speaks
    again, unless TCP or a timeout has closed them.
    """

    host = FAR
    redis_options = ("--bind", HOST, FAR)

    def __init__(self, target_port: int):
        self.port = target_port
        self._is_silent = False

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self) -> None:
        """Let everything pass."""
        self.speak()

    def silence(self) -> None:
        """Drop every packet from now on."""
        if not self._is_silent:
            self._is_silent = True
            self._filter("-A")

    def speak(self) -> None:
        """Drop none any more."""
        if self._is_silent:
            self._is_silent = False
            self._filter("-D")

    def _filter(self, verb: str) -> None:
        for end in (["-d", FAR, "-p", "tcp", "--dport"], ["-s", FAR, "-p", "tcp", "--sport"]):
            subprocess.run(
                ["iptables", "-w", verb, "INPUT", *end, str(self.port), "-j", "DROP"], check=True
            )
