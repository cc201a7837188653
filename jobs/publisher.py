"""Out to the channel layer, from synchronous code, without a new loop or connection per message.

With the pubsub layer on the store's own server a push is a PUBLISH in the layer's format, made by the store's script:
one round trip for both (measured: a fifth to a third of `async_to_sync(group_send)`). With any other layer it is
`group_send` on one loop thread, kept for the process.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine, Iterable
from functools import cache
from typing import Any

from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.core.signals import setting_changed

from .conf import jobs_settings
from .connection import is_store_server
from .events import EVERYBODY, group_of

logger = logging.getLogger("jobs.publisher")

Message = dict[str, str]

TIMEOUT = 3.0  # seconds that a push may hold a task up

_making = threading.Lock()


def prepare(messages: Iterable[Message]) -> list[tuple[str, bytes]] | None:
    """Return each message as a Redis channel and what to PUBLISH there, or None where it has to be sent by `send`."""
    prefix = _riding_prefix()
    if prefix is None:
        return None
    layer, shards = _layer(), jobs_settings().SHARDS
    return [(f"{prefix}{group_of(message['topic'], shards)}", layer.serialize(message)) for message in messages]


def send(messages: Iterable[Message]) -> None:
    """Send the messages over the channel layer within `TIMEOUT`; a layer that fails is logged, never raised."""
    shards = jobs_settings().SHARDS
    _group_send([(group_of(message["topic"], shards), message) for message in messages])


def broadcast(message: Message) -> None:
    """Send a message to every server process; as `send` does."""
    _group_send([(EVERYBODY, message)])


def _group_send(addressed: list[tuple[str, Message]]) -> None:
    layer = _layer()
    if layer is None:
        return
    sends = [layer.group_send(group, message) for group, message in addressed]
    try:
        asyncio.run_coroutine_threadsafe(_together(sends), _loop()).result(TIMEOUT)
    except Exception:
        logger.warning("the channel layer did not take a message; pages will read the job instead", exc_info=True)


async def _together(sends: list[Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait_for(asyncio.gather(*sends), TIMEOUT)


def _layer() -> Any:
    return get_channel_layer(jobs_settings().CHANNEL_LAYER)


@cache
def _riding_prefix() -> str | None:
    """Return what the layer puts before a group's name, if a plain PUBLISH in the store's own script reaches it.

    The name is channels_redis' own affair; a contract test holds it against the real `group_send`.
    """
    config = getattr(settings, "CHANNEL_LAYERS", {}).get(jobs_settings().CHANNEL_LAYER, {}).get("CONFIG", {})
    hosts = config.get("hosts") or ["redis://localhost:6379"]
    rides = (
        isinstance(_layer(), RedisPubSubChannelLayer)
        and not config.get("symmetric_encryption_keys")
        and len(hosts) == 1
        and is_store_server(hosts[0])
    )
    return f"{config.get('prefix', 'asgi')}__group__" if rides else None


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
        _riding_prefix.cache_clear()


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    _forget()
    _running_loop.cache_clear()


setting_changed.connect(_forget, dispatch_uid="jobs.publisher")
os.register_at_fork(after_in_child=_after_fork)
