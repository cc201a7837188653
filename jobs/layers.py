"""Channel layers of our own, which nobody else uses, so that they can be thrown away."""

from typing import Any

from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer

from .conf import jobs_settings


def new_layer() -> Any:
    """Return a layer with connections of its own, as the project has configured it; one in memory has to be shared."""
    alias = jobs_settings().CHANNEL_LAYER
    shared = get_channel_layer(alias)
    if shared is None or isinstance(shared, InMemoryChannelLayer):
        return shared
    return channel_layers.make_backend(alias)


async def close_layer(layer: Any) -> None:
    """Close its connections; whoever waits for a message of it never gets one."""
    if not isinstance(layer, InMemoryChannelLayer):
        await (layer.close_pools if hasattr(layer, "close_pools") else layer.flush)()  # the core's flush empties Redis
