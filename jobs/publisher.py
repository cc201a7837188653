"""Out to the channel layer, from synchronous code, without a new loop or connection per message.

With the pubsub layer on the store's own server a push is a PUBLISH in the layer's format, made by the store's script:
one round trip for both (measured: a fifth to a third of `async_to_sync(group_send)`). With any other layer it is
`group_send` on one loop thread, kept for the process.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from typing import Any, NamedTuple

from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.core.signals import setting_changed

from .conf import jobs_settings
from .connection import is_store_server
from .events import EVERYBODY, Message, Push, group_of

logger = logging.getLogger("jobs.publisher")

TIMEOUT = 3.0  # seconds that a push may hold a task up

_making = threading.Lock()


def prepare(message: Message) -> Push | None:
    """Return how the message reaches its topics' groups by a PUBLISH, or None where it has to be sent by `send`."""
    way = _way()
    return Push([way.prefix + group for group in _groups(message)], way.serialize(message)) if way else None


def send(message: Message) -> None:
    """Send the message over the channel layer within `TIMEOUT`; a layer that fails is logged, never raised."""
    _group_send(_groups(message), message)


def broadcast(message: Message) -> None:
    """Send a message to every server process; as `send` does."""
    _group_send([EVERYBODY], message)


def _groups(message: Message) -> list[str]:
    shards = jobs_settings().SHARDS
    return [group_of(topic, shards) for topic in message["topics"]]


def _group_send(groups: Sequence[str], message: Message) -> None:
    layer = _layer()
    if layer is None:
        return
    sends = [layer.group_send(group, message) for group in groups]
    try:
        asyncio.run_coroutine_threadsafe(_together(sends), _loop()).result(TIMEOUT)
    except Exception:
        logger.warning("the channel layer did not take a message; pages will read the job instead", exc_info=True)


async def _together(sends: list[Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait_for(asyncio.gather(*sends), TIMEOUT)


def _layer() -> Any:
    return get_channel_layer(jobs_settings().CHANNEL_LAYER)


class _Way(NamedTuple):
    """What the layer puts before a group's name, and how it writes a message."""

    prefix: str
    serialize: Callable[[Message], bytes]


@cache
def _way() -> _Way | None:
    """Say how a plain PUBLISH in the store's own script reaches the layer's groups, if it does.

    The name is channels_redis' own affair; a contract test holds it against the real `group_send`.
    """
    layer = _layer()
    config = getattr(settings, "CHANNEL_LAYERS", {}).get(jobs_settings().CHANNEL_LAYER, {}).get("CONFIG", {})
    hosts = config.get("hosts") or ["redis://localhost:6379"]
    rides = (
        isinstance(layer, RedisPubSubChannelLayer)
        and not config.get("symmetric_encryption_keys")
        and len(hosts) == 1
        and is_store_server(hosts[0])
    )
    return _Way(f"{config.get('prefix', 'asgi')}__group__", layer.serialize) if rides else None


def _loop() -> asyncio.AbstractEventLoop:
    """Return this process's loop; one thread at a time, as `cache` lets two make one each."""
    with _making:
        return _running_loop()


@cache
def _running_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="jobs-publisher", daemon=True).start()
    return loop


def _forget(**kwargs: Any) -> None:
    if kwargs.get("setting", "JOBS") in ("JOBS", "CHANNEL_LAYERS"):
        _way.cache_clear()


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    _forget()
    _running_loop.cache_clear()


setting_changed.connect(_forget, dispatch_uid="jobs.publisher")
os.register_at_fork(after_in_child=_after_fork)
