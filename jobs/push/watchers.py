"""Who watches which topic in this event loop, and how a frame reaches them."""

import asyncio
from typing import Protocol

from jobs import signals
from jobs.logs import get_logger

from .envelope import Message

logger = get_logger(__name__)


class Watcher(Protocol):
    """One open subscription of a page."""

    async def deliver(self, job_id: str, version: int, frame: str) -> None:
        """Take a pushed frame."""

    async def reconcile(self) -> None:
        """Read the watched jobs from the store, because pushes may have been lost."""

    async def on_logout(self, owner: str) -> None:
        """Close what this owner opened, because they have logged out."""


class Watchers:
    """The watchers of every topic. Frames are handed to them in the order in which they arrive."""

    def __init__(self) -> None:
        self._by_topic: dict[str, set[Watcher]] = {}
        self._last_frame = ("", 0)  # its job and version

    def __bool__(self) -> bool:
        """Say whether anybody watches anything."""
        return bool(self._by_topic)

    def add(self, topic: str, watcher: Watcher) -> bool:
        """Register a watcher; return whether it is the first of its topic."""
        is_first = topic not in self._by_topic
        self._by_topic.setdefault(topic, set()).add(watcher)
        return is_first

    def remove(self, topic: str, watcher: Watcher) -> bool:
        """Forget a watcher; return whether it was the last of its topic. May be called twice."""
        watchers = self._by_topic.get(topic)
        if watchers is None:
            return False
        watchers.discard(watcher)
        if watchers:
            return False
        del self._by_topic[topic]
        return True

    def all(self) -> set[Watcher]:
        """Return everybody who watches anything."""
        return {watcher for watchers in self._by_topic.values() for watcher in watchers}

    async def deliver(self, message: Message) -> None:
        """Hand a frame to the watchers of its topics, once if it arrives by several groups."""
        job_id, version, frame = message["job"], int(message["version"]), message["frame"]
        if (job_id, version) == self._last_frame:
            return
        self._last_frame = job_id, version
        watchers = [
            watcher for topic in message["topics"] for watcher in self._by_topic.get(topic, ())
        ]
        if watchers:
            signals.push_arrived.send_robust(Watchers, version=version)
        for watcher in watchers:
            try:
                await watcher.deliver(job_id, version, frame)
            except Exception:
                logger.exception("a frame of job %s was not delivered to one socket", job_id)

    def forget_last_frame(self) -> None:
        """Take the next frame in any case, because the connection is a new one."""
        self._last_frame = ("", 0)

    async def log_out(self, owner: str) -> None:
        """Tell everybody that an owner has logged out."""
        for watcher in self.all():
            await watcher.on_logout(owner)

    async def reconcile(self) -> None:
        """Have all watchers read their jobs at the same time, so that the reader batches them."""
        results = await asyncio.gather(
            *(watcher.reconcile() for watcher in self.all()), return_exceptions=True
        )
        if errors := [result for result in results if isinstance(result, Exception)]:
            logger.warning(
                "%d of %d watched jobs could not be read: %r", len(errors), len(results), errors[0]
            )
