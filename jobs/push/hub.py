"""In from the channel layer: one connection for all the pages of a server process.

The hub joins the groups of the topics that its pages watch, and hands each frame to the watchers
of its topic. A push is only a hint. So every `RECONCILE_SECONDS` the watched jobs are read from
the store, 500 in a round trip.

The hub also checks that it still hears: it sends itself a numbered beat every second. If a beat is
missing, other messages may be missing too, so the watched jobs are read at once. If no beat
arrives at all, the hub reconnects, because a half-open connection stays silent without ever
failing.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from time import monotonic
from weakref import WeakKeyDictionary

from jobs.conf import jobs_settings
from jobs.store.project_marker import leave_marker as introduce

from .envelope import FRAME, LOGOUT, Message
from .groups import everybody, group_of
from .layer_connection import LayerConnection, end
from .watchers import Watcher, Watchers

BEAT_SECONDS = 0.9  # the pubsub layer reconnects a second after its connection broke
DEAF_AFTER = 10.0  # seconds without a message, after which the hub reconnects


class Hub:
    """Hands the layer's frames to the watchers of one event loop. Runs while anybody watches."""

    def __init__(self) -> None:
        self._watchers = Watchers()
        self._topics: Counter[str] = Counter()  # how many watched topics each group carries
        self._missed_some = asyncio.Event()
        self._connection = LayerConnection(self.hand_out, self._missed_some.set)
        self._keepers: list[asyncio.Task[None]] = []
        self._lock = asyncio.Lock()

    async def watch(self, topic: str, watcher: Watcher) -> None:
        """Hand every frame of the topic to the watcher from now on.

        The watcher is registered first, so it misses nothing. While the layer is out of reach,
        `watch` does not wait for it: the hub joins the group later, and has the watcher reconcile
        until then.
        """
        group = group_of(topic, jobs_settings().SHARDS)
        if self._watchers.add(topic, watcher):
            self._topics[group] += 1
        if not self._keepers:
            keepers = (self._keep_hearing(), self._keep_reconciling())
            self._keepers = [asyncio.create_task(keeper) for keeper in keepers]
        groups = {everybody(), group}
        if self._connection.is_away:
            self._connection.groups |= groups
            return
        async with self._lock:
            for group in groups:
                await self._connection.join(group)

    async def unwatch(self, topic: str, watcher: Watcher) -> None:
        """Stop handing out frames of the topic to the watcher. May be called twice.

        Leaves the group if no topic in it is watched any more, and stops the hub if no topic is
        watched at all.
        """
        if not self._watchers.remove(topic, watcher):
            return
        group = group_of(topic, jobs_settings().SHARDS)
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
        """Say whether the layer has been silent for `DEAF_AFTER`; None while nobody watches."""
        if not self._keepers:
            return None
        silent_for = monotonic() - self._connection.heard_at
        return not self._connection.is_open or silent_for > DEAF_AFTER

    def watchers(self) -> set[Watcher]:
        """Return everybody who watches anything here."""
        return self._watchers.all()

    async def hand_out(self, message: Message) -> None:
        """Pass a message of the channel layer on to the watchers that it concerns."""
        if message["type"] == FRAME:
            await self._watchers.deliver(message)
        elif message["type"] == LOGOUT:
            await self._watchers.log_out(message["owner"])

    async def reconcile(self) -> None:
        """Have every watcher read its jobs from the store, and send what changed."""
        await self._watchers.reconcile()

    async def _leave(self, group: str) -> None:
        if not self._topics[group]:  # else a watcher has come while we waited for the lock
            del self._topics[group]
            await self._connection.leave(group)

    async def _keep_hearing(self) -> None:
        """Send beats, and reconnect when the hub is deaf."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self._connection.beat()
            if self.is_deaf:
                async with self._lock:
                    if self.is_deaf:  # else the first watcher was still connecting
                        await self._reconnect()

    async def _reconnect(self) -> None:
        await self._connection.close()
        self._watchers.forget_last_frame()
        await self._connection.open()
        if self._connection.is_open:
            self._missed_some.set()

    async def _keep_reconciling(self) -> None:
        """Reconcile every `RECONCILE_SECONDS`, and at once when messages were missed."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._missed_some.wait(), jobs_settings().RECONCILE_SECONDS)
            self._missed_some.clear()
            # A watcher that leaves during this may be the last, and would cancel it half-way.
            await asyncio.shield(self.reconcile())

    async def _stop(self) -> None:
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            await end(keeper)
        self._topics.clear()
        self._watchers.forget_last_frame()
        await self._connection.stop()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
        loop.run_in_executor(None, introduce)
    return _hubs[loop]
