"""In from the channel layer: one channel and one membership per group for a whole server process.

The hub joins the groups of the topics that are watched here and hands each frame to the watchers of its topic. It
hears itself: a numbered beat through the layer every second. When one is missing others' messages may be too, so every
watched job is read; when none comes, or the connection has broken, it starts afresh with a new one (a half-open link
is deaf for ever otherwise).
A push is a hint: every `RECONCILE_SECONDS` the watched jobs are read again, 500 in a round trip.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from jobs import signals
from jobs.conf import jobs_settings
from jobs.logs import get_logger
from jobs.store.neighbours import leave_marker

from .channel_layer import close_layer, listen, new_layer
from .envelope import FRAME, LOGOUT, Message
from .groups import everybody, group_of
from .subscriber import ConnectionBroken

logger = get_logger(__name__)

BEAT = 0.9  # seconds between two messages to itself; the pubsub layer's connection, once broken, is away for a second
DEAF_AFTER = 10.0  # seconds without hearing one
TIMEOUT = 3.0  # seconds for one command of the channel layer
PAUSE = 0.5  # seconds before listening again on a broken connection
BEAT_TYPE = "hub.beat"


class Watcher(Protocol):
    """One open subscription of a page to a topic."""

    async def deliver(self, job_id: str, version: int, frame: str) -> None:
        """Take a pushed frame."""

    async def look_again(self) -> None:
        """Read what is watched anew, because pushes may have been missed."""

    async def on_logout(self, owner: str) -> None:
        """Close what somebody who has logged out had opened."""


class Hub:
    """Hands the layer's frames to the watchers of one event loop. Starts with the first, stops with the last."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[Watcher]] = {}  # of each topic that is watched
        self._topics: Counter[str] = Counter()  # how many of them are in each group
        self._groups: set[str] = set()  # that are joined, or shall be
        self._layer: Any = None
        self._channel = ""
        self._heard_at = 0.0
        self._handed_out = ("", 0)  # the job and the version of the last frame
        self._beats = 0  # sent
        self._beat_heard = 0  # the number of the last
        self._is_away = False  # the layer did not answer; the keeper tries again
        self._missed_some = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self._lock = asyncio.Lock()

    async def watch(self, topic: str, watcher: Watcher) -> None:
        """Hand every frame of the topic to the watcher from now on.

        The watcher is registered first, so nothing is missed. With the layer out of reach nobody waits for it: the
        topic's group is joined later, and until then the watcher is asked to look again.
        """
        group = group_of(topic, jobs_settings().SHARDS)
        if topic not in self._watchers:
            self._watchers[topic] = set()
            self._topics[group] += 1
        self._watchers[topic].add(watcher)
        if not self._keepers:
            self._keepers = [
                asyncio.create_task(keep())
                for keep in (self._keep_hearing, self._keep_reconciling)
            ]
        groups = {everybody(), group}
        if self._is_away:
            self._groups |= groups
            return
        async with self._lock:
            for group in groups:
                await self._join(group)

    async def unwatch(self, topic: str, watcher: Watcher) -> None:
        """Stop handing out; may be called twice. A group without a topic is left; without any the hub stops."""
        watchers = self._watchers.get(topic, set())
        watchers.discard(watcher)
        if watchers or topic not in self._watchers:
            return
        group = group_of(topic, jobs_settings().SHARDS)
        del self._watchers[topic]
        self._topics[group] -= 1
        if self._topics[group] and self._watchers:
            return
        async with self._lock:
            if self._watchers:
                await self._leave(group)
            elif self._keepers:
                await self._stop()

    @property
    def is_deaf(self) -> bool | None:
        """Say whether the layer has not been heard for a while; None when nobody watches, so that nothing is."""
        if not self._keepers:
            return None
        return self._listener is None or monotonic() - self._heard_at > DEAF_AFTER

    def watchers(self) -> set[Watcher]:
        """Return everybody who watches anything here."""
        return {watcher for watchers in self._watchers.values() for watcher in watchers}

    async def _join(self, group: str) -> None:
        if group in self._groups and self._listener is not None:
            return
        self._groups.add(group)
        if self._listener is None:
            if not self._is_away:
                await self._connect()
            return
        try:
            await asyncio.wait_for(self._layer.group_add(group, self._channel), TIMEOUT)
        except Exception as error:
            await self._give_up(error)

    async def _leave(self, group: str) -> None:
        if self._topics[group]:  # somebody has come meanwhile
            return
        del self._topics[group]
        if group not in self._groups:  # somebody has left it meanwhile
            return
        self._groups.discard(group)
        if self._listener is not None:
            try:
                await asyncio.wait_for(self._layer.group_discard(group, self._channel), TIMEOUT)
            except Exception as error:
                await self._give_up(error)

    async def _connect(self) -> None:
        """Open a new connection, join every group of a watched topic, and start to listen; or log why not."""
        try:
            self._layer = new_layer()
            self._channel = await asyncio.wait_for(self._layer.new_channel(), TIMEOUT)
            joined: set[str] = set()
            while missing := self._groups - joined:  # watchers may come meanwhile
                group = missing.pop()
                await asyncio.wait_for(self._layer.group_add(group, self._channel), TIMEOUT)
                joined.add(group)
        except Exception as error:
            await self._give_up(error)
            return
        self._is_away = False
        self._heard_at = monotonic()
        self._handed_out = ("", 0)
        self._beat_heard = self._beats
        self._listener = asyncio.create_task(self._listen(self._layer, self._channel))

    async def _give_up(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning(
                "the channel layer does not answer, pages read their jobs instead: %r", error
            )
        self._is_away = True
        await self._disconnect()

    async def _disconnect(self) -> None:
        listener, self._listener = self._listener, None
        layer, self._layer = self._layer, None
        if listener is not None:
            await _end(listener)
        if layer is not None:
            with suppress(Exception):
                await asyncio.wait_for(close_layer(layer), TIMEOUT)

    async def _stop(self) -> None:
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            await _end(keeper)
        if self._layer is not None:
            for group in self._groups:
                with suppress(Exception):
                    await asyncio.wait_for(
                        self._layer.group_discard(group, self._channel), TIMEOUT
                    )
        self._groups.clear()
        self._topics.clear()
        self._is_away = False
        await self._disconnect()

    async def _listen(self, layer: Any, channel: str) -> None:
        while True:
            try:
                await listen(layer, channel, self._hear)
            except ConnectionBroken as error:
                logger.info("the channel layer's connection broke: %s", error)
                self._heard_at = -DEAF_AFTER  # the keeper starts afresh
                return
            except (
                Exception
            ) as error:  # the core layer raises whenever redis-py's time-out cuts an idle socket
                logger.debug("the channel layer's connection broke: %r", error)
                await asyncio.sleep(PAUSE)

    async def _hear(self, read: Callable[[], Message]) -> None:
        self._heard_at = monotonic()
        try:
            await self._hand_out(read())
        except Exception as error:  # of another version of ours, or of somebody else's
            logger.warning("a message of the channel layer could not be read: %r", error)

    async def _hand_out(self, message: Message) -> None:
        if message["type"] == LOGOUT:
            for watcher in self.watchers():
                await watcher.on_logout(message["owner"])
        elif message["type"] == FRAME:
            await self._hand_out_frame(message)
        elif message["type"] == BEAT_TYPE:
            if message["number"] > self._beat_heard + 1:
                self._missed_some.set()
            self._beat_heard = message["number"]

    async def _hand_out_frame(self, message: Message) -> None:
        job_id, version, frame = message["job"], int(message["version"]), message["frame"]
        if (job_id, version) == self._handed_out:  # it has come by another of its topics' groups
            return
        self._handed_out = job_id, version
        watchers = [
            watcher for topic in message["topics"] for watcher in self._watchers.get(topic, ())
        ]
        if watchers:
            signals.push_arrived.send_robust(Hub, version=version)
        for watcher in watchers:
            try:
                await watcher.deliver(job_id, version, frame)
            except Exception:
                logger.exception("a frame of job %s was not delivered to one socket", job_id)

    async def _keep_hearing(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            if self._listener is not None:
                self._beats += 1
                beat = {"type": BEAT_TYPE, "number": self._beats}
                with suppress(Exception):
                    await asyncio.wait_for(self._layer.send(self._channel, beat), TIMEOUT)
            if self.is_deaf:
                async with self._lock:
                    if not self.is_deaf:  # the first watcher was still connecting
                        continue
                    await self._disconnect()
                    await self._connect()
                if self._listener is not None:
                    self._missed_some.set()

    async def _keep_reconciling(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._missed_some.wait(), jobs_settings().RECONCILE_SECONDS)
            self._missed_some.clear()
            await asyncio.shield(
                self.look_again()
            )  # whoever leaves meanwhile may be the last, and stop us

    async def look_again(self) -> None:
        """Have everybody read what they watch; the reader makes one round trip of it."""
        results = await asyncio.gather(
            *(w.look_again() for w in self.watchers()), return_exceptions=True
        )
        if errors := [result for result in results if isinstance(result, Exception)]:
            logger.warning(
                "%d of %d watched jobs could not be read: %r", len(errors), len(results), errors[0]
            )


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
        loop.run_in_executor(None, leave_marker)
    return _hubs[loop]


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel until it has ended: the pubsub layer's flush and Python 3.11's wait_for may swallow a cancel."""
    for _ in range(10):
        task.cancel()
        if (await asyncio.wait([task], timeout=TIMEOUT / 10))[0]:
            return
