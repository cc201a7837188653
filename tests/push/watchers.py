"""Watchers for tests, and the channel layers that a project may have."""

import asyncio

PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
IN_MEMORY = "channels.layers.InMemoryChannelLayer"
LAYERS = {"pubsub": PUBSUB, "core": CORE, "in memory": IN_MEMORY}


class Page:
    """A watcher that notes what it gets."""

    def __init__(self):
        self.heard = asyncio.Queue()
        self.reconciled = asyncio.Event()
        self.logged_out = asyncio.Queue()

    async def deliver(self, job_id, version, frame):
        await self.heard.put((job_id, version, frame))

    async def reconcile(self):
        self.reconciled.set()

    async def on_logout(self, owner):
        await self.logged_out.put(owner)

    async def next(self, seconds=3):
        """Return the next frame, as job, version and text."""
        return await asyncio.wait_for(self.heard.get(), seconds)

    async def next_reconciliation(self, seconds=3):
        """Wait until it is reconciled again."""
        self.reconciled.clear()
        await asyncio.wait_for(self.reconciled.wait(), seconds)


class SickPage(Page):
    """A watcher that raises whatever it gets."""

    async def deliver(self, job_id, version, frame):
        raise RuntimeError("out of order")

    async def reconcile(self):
        raise RuntimeError("out of order")
