"""Out to the channel layer, from synchronous code.

With the pubsub layer on the store's own server, a push is a PUBLISH in the layer's format that the
store's script makes: one round trip for the write and the push. With any other layer it is
`group_send`, on one loop thread that the process keeps, so no message costs a new event loop or
connection.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from jobs.conf import jobs_settings
from jobs.logs import get_logger
from jobs.runtime.per_process import per_process
from jobs.runtime.replaceable import replaceable
from jobs.store.push import Push

from .channel_layer import project_layer, pubsub_format
from .envelope import Message
from .groups import everybody, group_of

logger = get_logger(__name__)

SEND_TIMEOUT = 3.0  # seconds that a push may delay a task


def channels_of(topics: Sequence[str]) -> list[str]:
    """Name the Redis channels of the topics' groups; none where the script cannot publish."""
    plain = pubsub_format()
    return [plain.channel_of(group) for group in _groups(topics)] if plain else []


@replaceable
def prepare(message: Message, channels: Sequence[str] | None = None) -> Push | None:
    """Return the push for the store's script, or None if the message has to go by `send`.

    A caller with many messages about the same topics may name their channels once.
    """
    if (plain := pubsub_format()) is None:
        return None
    return Push(channels or channels_of(message["topics"]), plain.serialize(message))


@replaceable
def send(message: Message) -> None:
    """Send a message to its topics' groups within `SEND_TIMEOUT`; log a failure, raise none."""
    send_to(_groups(message["topics"]), message)


def broadcast(message: Message) -> None:
    """Send a message to every server process, as `send` does."""
    send_to([everybody()], message)


def send_to(groups: Sequence[str], message: Message) -> None:
    """Send a message to some groups, as `send` does."""
    layer = project_layer()
    if layer is None:
        return
    sends = [layer.group_send(group, message) for group in groups]
    try:
        asyncio.run_coroutine_threadsafe(_together(sends), sending_loop()).result(SEND_TIMEOUT)
    except Exception:
        logger.warning(
            "the channel layer did not take a message; pages will read the job instead",
            exc_info=True,
        )


def _groups(topics: Sequence[str]) -> list[str]:
    shards = jobs_settings().SHARDS
    return [group_of(topic, shards) for topic in topics]


async def _together(sends: list[Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait_for(asyncio.gather(*sends), SEND_TIMEOUT)


@per_process
def sending_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process that sends; it runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="jobs-publisher", daemon=True).start()
    return loop
