"""Step: a push of this process comes back over the channel layer."""

import asyncio
import secrets

from jobs.conf import has_sockets
from jobs.core import topics
from jobs.push.hub import Hub

from . import step
from .step import StepFailed, bounded, push_probe

NO_SOCKETS = (
    "off: without ASGI_APPLICATION and CHANNEL_LAYERS, or with an empty SOCKET_PATH, pages poll"
)


def try_channel_layer() -> str:
    """Watch a topic as a server process does, and push to it as a worker does."""
    if not has_sockets():
        return NO_SOCKETS
    if not bounded(lambda: asyncio.run(_push_comes_back())):
        text = "A push over the channel layer did not arrive."
        advice = (
            "Check CHANNEL_LAYERS. "
            "Every process must have the same prefix and the same JOBS['SHARDS']."
        )
        raise StepFailed(text, advice)
    return "a worker's push is heard by a hub"


class _FirstPush:
    """A watcher that waits for one push."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()

    async def deliver(self, job_id: str, version: int, frame: str) -> None:
        self.arrived.set()

    async def reconcile(self) -> None:
        """There is no job to read."""

    async def on_logout(self, owner: str) -> None:
        """Nobody has logged in."""


async def _push_comes_back() -> bool:
    hub, watcher = Hub(), _FirstPush()
    topic = topics.tag_topic(f"jobs-doctor:{secrets.token_hex(8)}")
    await hub.watch(topic, watcher)
    try:
        await asyncio.to_thread(push_probe, topic)
        await asyncio.wait_for(watcher.arrived.wait(), step.STEP_TIMEOUT / 2)
    except TimeoutError:
        return False
    else:
        return True
    finally:
        await hub.unwatch(topic, watcher)
