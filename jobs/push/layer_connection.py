"""The hub's own connection to the channel layer: one channel, in any number of groups."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from jobs.logs import get_logger

from .channel_layer import close_layer, listen, new_layer
from .envelope import BEAT, Message
from .subscriber import ConnectionBroken

logger = get_logger(__name__)

LAYER_TIMEOUT = 3.0  # seconds for one command of the channel layer
LISTEN_PAUSE = 0.5  # seconds before listening again on a connection that raised
NEVER = float("-inf")  # by the monotonic clock


class LayerConnection:
    """Joins groups, takes their messages, and hears its own beats.

    A layer that does not answer is logged once and never raised: `is_away` until `open` succeeds.
    """

    def __init__(
        self, take: Callable[[Message], Awaitable[None]], on_gap: Callable[[], None]
    ) -> None:
        self.groups: set[str] = set()  # that are joined, or will be by the next `open`
        self.heard_at = NEVER
        self.is_away = False
        self._take = take
        self._on_gap = on_gap  # called when a beat was lost
        self._layer: Any = None
        self._channel = ""
        self._listener: asyncio.Task[None] | None = None
        self._beats_sent = 0
        self._last_beat = 0  # the number of the last beat that was heard

    @property
    def is_open(self) -> bool:
        """Say whether it listens."""
        return self._listener is not None

    async def open(self) -> None:
        """Open a new connection, join all groups, and start to listen."""
        try:
            await self._connect()
        except Exception as error:
            await self._give_up(error)
            return
        self.is_away = False
        self.heard_at = monotonic()
        self._last_beat = self._beats_sent
        self._listener = asyncio.create_task(self._listen(self._layer, self._channel))

    async def close(self) -> None:
        """Stop listening, and close the connection. May be called twice."""
        listener, self._listener = self._listener, None
        layer, self._layer = self._layer, None
        if listener is not None:
            await end(listener)
        if layer is not None:
            with suppress(Exception):
                await asyncio.wait_for(close_layer(layer), LAYER_TIMEOUT)

    async def join(self, group: str) -> None:
        """Join a group, unless it is joined already. The first one opens the connection."""
        if group in self.groups and self.is_open:
            return
        self.groups.add(group)
        if not self.is_open:
            if not self.is_away:
                await self.open()
            return
        await self._ask(self._layer.group_add, group)

    async def leave(self, group: str) -> None:
        """Leave a group. May be called twice."""
        if group in self.groups:
            self.groups.discard(group)
            if self.is_open:
                await self._ask(self._layer.group_discard, group)

    async def stop(self) -> None:
        """Leave every group and close, until somebody joins again."""
        groups, self.groups = self.groups, set()
        if self._layer is not None:
            for group in groups:
                with suppress(Exception):
                    discard = self._layer.group_discard(group, self._channel)
                    await asyncio.wait_for(discard, LAYER_TIMEOUT)
        self.is_away = False
        await self.close()

    async def beat(self) -> None:
        """Send ourselves a numbered message."""
        if self.is_open:
            self._beats_sent += 1
            beat = {"type": BEAT, "number": self._beats_sent}
            with suppress(Exception):
                await asyncio.wait_for(self._layer.send(self._channel, beat), LAYER_TIMEOUT)

    async def _connect(self) -> None:
        self._layer = new_layer()
        self._channel = await asyncio.wait_for(self._layer.new_channel(), LAYER_TIMEOUT)
        joined: set[str] = set()
        while missing := self.groups - joined:  # others may ask for a group during this
            group = missing.pop()
            await asyncio.wait_for(self._layer.group_add(group, self._channel), LAYER_TIMEOUT)
            joined.add(group)

    async def _ask(self, command: Callable[[str, str], Awaitable[None]], group: str) -> None:
        try:
            await asyncio.wait_for(command(group, self._channel), LAYER_TIMEOUT)
        except Exception as error:
            await self._give_up(error)

    async def _give_up(self, error: Exception) -> None:
        if not self.is_away:
            logger.warning(
                "the channel layer does not answer, pages read their jobs instead: %r", error
            )
        self.is_away = True
        await self.close()

    async def _listen(self, layer: Any, channel: str) -> None:
        while True:
            try:
                await listen(layer, channel, self._hear)
            except ConnectionBroken as error:
                logger.info("the channel layer's connection broke: %s", error)
                self.heard_at = NEVER  # so that the hub reconnects
                return
            except Exception as error:  # the core layer raises when redis-py cuts an idle socket
                logger.debug("the channel layer's connection broke: %r", error)
                await asyncio.sleep(LISTEN_PAUSE)

    async def _hear(self, read: Callable[[], Message]) -> None:
        self.heard_at = monotonic()
        try:
            message = read()
            if message["type"] == BEAT:
                self._hear_beat(message["number"])
            else:
                await self._take(message)
        except Exception as error:  # a message of another version of ours, or of somebody else
            logger.warning("a message of the channel layer could not be read: %r", error)

    def _hear_beat(self, number: int) -> None:
        if number > self._last_beat + 1:
            self._on_gap()
        self._last_beat = number


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended.

    The pubsub layer's `flush` and the `wait_for` of Python 3.11 may swallow a cancel.
    """
    for _ in range(10):
        task.cancel()
        if (await asyncio.wait([task], timeout=LAYER_TIMEOUT / 10))[0]:
            return
