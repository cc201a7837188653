"""Out to the channel layer, from synchronous code, without a new loop or connection per message.

With the pubsub layer on the store's own server a push is a PUBLISH in the layer's format, made by the store's script:
one round trip for both (measured: a fifth to a third of `async_to_sync(group_send)`). With any other layer it is
`group_send` on one loop thread, kept for the process.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from jobs.conf import jobs_settings
from jobs.logs import get_logger
from jobs.runtime.per_process import per_process
from jobs.store.push import Push

from .channel_layer import project_layer, wire
from .envelope import Message
from .groups import everybody, group_of

logger = get_logger(__name__)

TIMEOUT = 3.0  # seconds that a push may hold a task up


def channels_of(topics: Sequence[str]) -> list[str]:
    """Name Redis's channels of the topics' groups; none where nothing can be published there."""
    plain = wire()
    return [plain.group(group) for group in _groups(topics)] if plain else []


def prepare(message: Message, channels: Sequence[str] | None = None) -> Push | None:
    """Return how the message reaches its topics' groups by a PUBLISH, or None where it has to be sent by `send`.

    Who sends many messages about the same topics names their channels once.
    """
    if (plain := wire()) is None:
        return None
    return Push(channels or channels_of(message["topics"]), plain.serialize(message))


def send(message: Message) -> None:
    """Send the message over the channel layer within `TIMEOUT`; a layer that fails is logged, never raised."""
    _group_send(_groups(message["topics"]), message)


def broadcast(message: Message) -> None:
    """Send a message to every server process; as `send` does."""
    _group_send([everybody()], message)


def _groups(topics: Sequence[str]) -> list[str]:
    shards = jobs_settings().SHARDS
    return [group_of(topic, shards) for topic in topics]


def _group_send(groups: Sequence[str], message: Message) -> None:
    layer = project_layer()
    if layer is None:
        return
    sends = [layer.group_send(group, message) for group in groups]
    try:
        asyncio.run_coroutine_threadsafe(_together(sends), _loop()).result(TIMEOUT)
    except Exception:
        logger.warning(
            "the channel layer did not take a message; pages will read the job instead",
            exc_info=True,
        )


async def _together(sends: list[Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait_for(asyncio.gather(*sends), TIMEOUT)


@per_process
def _loop() -> asyncio.AbstractEventLoop:
    """Return this process's event loop, which runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="jobs-publisher", daemon=True).start()
    return loop
