"""One connection that subscribes, and hears what is published as soon as the kernel has it.

redis-py opens it, with TLS and password, and sends the commands. What comes in it would await line by line; here it is
taken apart at once, and taken at once too: in the turn of the event loop in which the kernel had it, not in the next.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

from redis.asyncio.connection import AbstractConnection

from jobs.store.connection import connect_listener
from jobs.store.resp import ErrorReply, Incomplete, parse

PAUSE_AT = 1000  # messages that nobody has taken yet; the rest waits in the kernel and in Redis


class ConnectionBroken(Exception):
    """What was sent meanwhile is lost, and nothing more is heard."""


def is_possible() -> bool:
    """Say whether redis-py keeps its transport where we look for it, which is no public place."""
    return "_writer" in getattr(AbstractConnection, "__slots__", ())


class Refused(Exception):
    """Redis does not let us listen, and says why."""


class Subscriber(asyncio.Protocol):
    """Hears what is published on the channels it has subscribed to.

    What has to be done with a message is a coroutine of the task that listens, and is begun before that task's turn;
    most have nothing to wait for, and are done then. What is left of one that waits goes on in the task.
    """

    def __init__(self) -> None:
        self._client = connect_listener()
        self._connection: Any = None
        self._transport: Any = None
        self._unparsed = b""
        self._heard: deque[bytes] = deque()
        self._take: Callable[[bytes], Awaitable[None]]
        self._listener: asyncio.Task[Any] | None = None
        self._begun: tuple[Coroutine[Any, Any, None], Any] | None = None  # and what it waits for
        self._wake: asyncio.Future[None] | None = None
        self._confirmations: dict[bytes, asyncio.Future[None]] = {}
        self._why_broken: str | None = None
        self._is_paused = False

    async def open(self) -> None:
        """Connect; raises what redis-py does."""
        pool: Any = self._client.connection_pool
        self._connection = await pool.get_connection()
        self._transport = self._connection._writer.transport
        self._transport.set_protocol(self)

    async def subscribe(self, channel: str) -> None:
        """Subscribe; once Redis has confirmed it nothing that is published is missed.

        Raises `ConnectionBroken`, `Refused`, and what redis-py does when it cannot send.
        """
        confirmed = self._confirmations[channel.encode()] = (
            asyncio.get_running_loop().create_future()
        )
        try:
            await self._send("SUBSCRIBE", channel)
            await confirmed
        finally:
            del self._confirmations[channel.encode()]

    async def unsubscribe(self, channel: str) -> None:
        """Have Redis send no more of it, some time soon."""
        await self._send("UNSUBSCRIBE", channel)

    async def publish(self, channel: str, payload: bytes) -> None:
        """Publish, over another connection."""
        await self._client.publish(channel, payload)

    async def listen(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Have everything taken that is heard, one after the other; raises `ConnectionBroken` after the last."""
        self._take = take
        await self._take_all()
        self._listener = asyncio.current_task()
        try:
            while self._why_broken is None:
                self._pause(False)
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake
                while self._begun is not None:
                    begun, self._begun = self._begun, None
                    await _rest_of(*begun)
                    await self._take_all()
        finally:
            self._listener = None
        raise ConnectionBroken(self._why_broken)

    async def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            await self._connection.disconnect(
                nowait=True
            )  # asyncio's stream is not told of the end
        await self._client.aclose()

    def data_received(self, data: bytes) -> None:
        """Take what has come; what is not whole yet waits for the rest."""
        if self._unparsed:
            data = self._unparsed + data
        at = 0
        try:
            while at < len(data):
                value, at = parse(data, at)
                self._sort(value)
        except Incomplete:
            pass
        self._unparsed = data[at:]
        if (
            self._heard
            and self._listener is not None
            and self._wake is not None
            and not self._wake.done()
        ):
            self._run_ahead(self._listener, self._wake)
        if len(self._heard) >= PAUSE_AT:
            self._pause(True)

    def connection_lost(self, error: Exception | None) -> None:
        """Say so to whoever waits."""
        self._why_broken = str(error or "Redis has closed it")
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        self._refuse(ConnectionBroken(self._why_broken))

    async def _take_all(self) -> None:
        while self._heard:
            await self._take(self._heard.popleft())

    def _run_ahead(self, listener: asyncio.Task[Any], wake: asyncio.Future[None]) -> None:
        """Begin to take what is heard as the task that listens, as asyncio's chapter on extending it provides for."""
        loop, taking = asyncio.get_running_loop(), self._take_all()
        asyncio.tasks._enter_task(loop, listener)
        try:
            self._begun = taking, taking.send(None)
        except StopIteration:
            return
        finally:
            asyncio.tasks._leave_task(loop, listener)
        wake.set_result(None)

    async def _send(self, command: str, channel: str) -> None:
        if self._why_broken is not None:  # redis-py would connect anew, where nobody listens
            raise ConnectionBroken(self._why_broken)
        await self._connection.send_command(command, channel)

    def _pause(self, wanted: bool) -> None:
        if self._is_paused != wanted:
            self._is_paused = wanted
            (self._transport.pause_reading if wanted else self._transport.resume_reading)()

    def _sort(self, value: Any) -> None:
        if isinstance(value, ErrorReply):
            self._refuse(Refused(value))
            return
        kind, channel, payload = (
            value if isinstance(value, list) and len(value) == 3 else (b"", b"", b"")
        )
        if kind == b"message":
            self._heard.append(payload)
        elif (
            kind == b"subscribe"
            and channel in self._confirmations
            and not self._confirmations[channel].done()
        ):
            self._confirmations[channel].set_result(None)

    def _refuse(self, error: Exception) -> None:
        for confirmed in self._confirmations.values():
            if not confirmed.done():
                confirmed.set_exception(error)


@coroutine
def _rest_of(begun: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that waits for something already."""
    while True:
        try:
            came = yield awaited
        except BaseException as error:
            step: Callable[[], Any] = partial(begun.throw, error)
        else:
            step = partial(begun.send, came)
        try:
            awaited = step()
        except StopIteration:
            return
