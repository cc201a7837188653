"""The channel layer as the project has configured it, and where it takes no more than a PUBLISH and a SUBSCRIBE.

That is the pubsub layer on the server that holds the jobs. A message to a group is published there by the store's own
script, and the hub hears it with a subscription of its own, without the layer's queue and timer for each message. The
channels' names and the messages' format stay the layer's: contract tests hold both ways against the real layer.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings

from jobs.conf import jobs_settings
from jobs.runtime.per_process import per_process
from jobs.store import address

from .envelope import Message
from .subscriber import Subscriber, is_possible


class Wire(NamedTuple):
    """How the pubsub layer names a channel of Redis, and what it puts there."""

    prefix: str
    serialize: Callable[[Message], bytes]
    deserialize: Callable[[bytes], Message]

    def group(self, name: str) -> str:
        """Name the channel of a group."""
        return f"{self.prefix}__group__{name}"


@per_process(reset_on=("JOBS", "CHANNEL_LAYERS"))
def wire() -> Wire | None:
    """Say how to reach the layer's groups by the store's own server, if that is where they are."""
    layer = project_layer()
    config = (
        getattr(settings, "CHANNEL_LAYERS", {})
        .get(jobs_settings().CHANNEL_LAYER, {})
        .get("CONFIG", {})
    )
    hosts = config.get("hosts") or ["redis://localhost:6379"]
    is_ours = (
        isinstance(layer, RedisPubSubChannelLayer)
        and not config.get("symmetric_encryption_keys")
        and len(hosts) == 1
        and address.is_store_server(hosts[0])
    )
    return (
        Wire(config.get("prefix", "asgi"), layer.serialize, layer.deserialize) if is_ours else None
    )


def project_layer() -> Any:
    """Return the layer that the whole project shares, or None."""
    return get_channel_layer(jobs_settings().CHANNEL_LAYER)


def new_layer() -> Any:
    """Return a layer with connections of its own, which can be thrown away; one in memory has to be shared.

    Raises `LookupError` if the project has none.
    """
    if is_possible() and (plain := wire()) is not None:
        return _Subscription(plain)
    shared = project_layer()
    if shared is None:
        raise LookupError(f"CHANNEL_LAYERS has no {jobs_settings().CHANNEL_LAYER!r}")
    if isinstance(shared, InMemoryChannelLayer):
        return shared
    return channel_layers.make_backend(jobs_settings().CHANNEL_LAYER)


async def listen(
    layer: Any, channel: str, take: Callable[[Callable[[], Message]], Awaitable[None]]
) -> None:
    """Have every message of the channel and its groups taken, each as a function that reads it, as it comes.

    Raises what the layer does when its connection breaks, and `ConnectionBroken` where it hears nothing more.
    """
    if isinstance(layer, _Subscription):
        await layer.listen(take)
    while True:
        await take(partial(dict, await layer.receive(channel)))


async def close_layer(layer: Any) -> None:
    """Close its connections; whoever waits for a message of it never gets one."""
    if not isinstance(layer, InMemoryChannelLayer):
        await (
            layer.close_pools if hasattr(layer, "close_pools") else layer.flush
        )()  # the core's flush empties Redis


class _Subscription:
    """As much of the pubsub layer as one listener needs, who has one channel."""

    def __init__(self, plain: Wire) -> None:
        self._wire = plain
        self._subscriber = Subscriber()

    async def new_channel(self) -> str:
        channel = f"{self._wire.prefix}specific.{uuid4().hex}"
        await self._subscriber.open()
        await self._subscriber.subscribe(channel)
        return channel

    async def group_add(self, group: str, channel: str) -> None:
        await self._subscriber.subscribe(self._wire.group(group))

    async def group_discard(self, group: str, channel: str) -> None:
        await self._subscriber.unsubscribe(self._wire.group(group))

    async def send(self, channel: str, message: Message) -> None:
        await self._subscriber.publish(channel, self._wire.serialize(message))

    async def listen(self, take: Callable[[Callable[[], Message]], Awaitable[None]]) -> None:
        """Do so until `ConnectionBroken`."""
        await self._subscriber.listen(
            lambda payload: take(partial(self._wire.deserialize, payload))
        )

    async def close_pools(self) -> None:
        await self._subscriber.close()
