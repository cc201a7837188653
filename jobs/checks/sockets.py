"""System checks of what pages need to be pushed to: an ASGI application and a channel layer."""

from typing import Any

from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Hazard
from django.utils.module_loading import import_string

from jobs.conf import has_sockets
from jobs.store import address

from .settings import value_of

# Seconds. The core layer's own blocking read takes 5 s, so a shorter timeout cuts it off.
CORE_LAYER_READ_SECONDS = 5


def check_asgi(**_: Any) -> list[CheckMessage]:
    """Warn if no ASGI application is set. `jobs_doctor` tries whether it opens sockets."""
    if getattr(settings, "ASGI_APPLICATION", None) or not value_of("SOCKET_PATH"):
        return []
    hint = (
        "Pages poll every few seconds, which works. For sockets, set ASGI_APPLICATION and "
        'CHANNEL_LAYERS (see the README). If you want none, set JOBS["SOCKET_PATH"] = "".'
    )
    return [
        Hazard("ASGI_APPLICATION is not set, so there are no sockets.", hint=hint, id="jobs.W009")
    ]


def check_channel_layer(**_: Any) -> list[CheckMessage]:
    """Check that pushes reach every process. A project without sockets needs no layer."""
    if isinstance(getattr(settings, "JOBS", {}), dict) and not has_sockets():
        return []  # jobs.W009 says that pages poll
    alias = value_of("CHANNEL_LAYER")
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get(alias)
    if layer is None:
        text = f"JOBS['CHANNEL_LAYER'] names {alias!r}, which is not in CHANNEL_LAYERS."
        hint = "Set CHANNEL_LAYERS, for example to channels_redis.pubsub.RedisPubSubChannelLayer."
        return [Error(text, hint=hint, id="jobs.E004")]
    hosts = layer.get("CONFIG", {}).get("hosts") or [{}]
    return _problem_of(alias, import_string(layer["BACKEND"]), hosts)


def _problem_of(alias: str, backend: type, hosts: list[Any]) -> list[CheckMessage]:
    """Return what is wrong with a channel layer, the most serious problem alone."""
    if issubclass(backend, InMemoryChannelLayer):
        text = "The in-memory channel layer does not reach other processes."
        hint = (
            "Use channels_redis.pubsub.RedisPubSubChannelLayer, because workers are other "
            "processes. Until then pages poll."
        )
        return [Hazard(text, hint=hint, id="jobs.W001")]
    if any(map(_is_malformed, hosts)):
        text = (
            f"An address in CHANNEL_LAYERS[{alias!r}] is malformed. "
            "In a password, percent-encode everything but letters and digits."
        )
        return [Error(text, hint=address.FORMS, id="jobs.E006")]
    if issubclass(backend, RedisChannelLayer) and not all(map(_outlasts_a_read, hosts)):
        text = "With redis-py 8, idle sockets of the core channel layer die after 5 s."
        hint = (
            'Give each host as {"address": "redis://…", "socket_timeout": 15} '
            "(channels_redis issue 422)."
        )
        return [Hazard(text, hint=hint, id="jobs.W002")]
    return []


def _is_malformed(host: Any) -> bool:
    url = host.get("address") if isinstance(host, dict) else host
    if not isinstance(url, str):
        return False
    try:
        address.parse(url)
    except ValueError:
        return True
    return False


def _outlasts_a_read(host: Any) -> bool:
    """Whether a host's timeout is longer than the layer's blocking read."""
    timeout = host.get("socket_timeout") if isinstance(host, dict) else None
    return timeout is not None and timeout > CORE_LAYER_READ_SECONDS
