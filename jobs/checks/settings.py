"""System checks: what is wrong with the settings, said at start-up, with stable ids."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Hazard
from django.urls import NoReverseMatch
from django.utils.module_loading import import_string

from jobs.conf import NAMES, JobsSettings, has_sockets
from jobs.core.app_label import url_of
from jobs.queues.celery.app import celery_app
from jobs.store import address
from jobs.store.keys import ALLOWED_PREFIX

LEAST_SOCKET_TIMEOUT = 5  # seconds; the core layer's own blocking read takes as long


@register(Tags.compatibility)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Look at each key and value of `JOBS`."""
    given = getattr(settings, "JOBS", {})
    if not isinstance(given, dict):
        return [Error(f"JOBS is a {type(given).__name__}; it must be a dict.", id="jobs.E002")]
    return [
        *_unknown(given),
        *_mistyped(given),
        *_out_of_range(given),
        *_nowhere(given),
        *_misnamed(given),
    ]


@register(Tags.compatibility)
def check_channel_layer(**_: Any) -> list[CheckMessage]:
    """Look for a layer that would lose frames. A project without sockets needs none."""
    given = getattr(settings, "JOBS", {})
    alias = (given if isinstance(given, dict) else {}).get(
        "CHANNEL_LAYER", JobsSettings().CHANNEL_LAYER
    )
    if isinstance(given, dict) and not has_sockets():
        return []  # jobs.W009 says that pages poll
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get(alias)
    if layer is None:
        hint = "Set CHANNEL_LAYERS, for example to channels_redis.pubsub.RedisPubSubChannelLayer."
        return [
            Error(
                f"JOBS['CHANNEL_LAYER'] names {alias!r}, which is not in CHANNEL_LAYERS.",
                hint=hint,
                id="jobs.E004",
            )
        ]
    backend = import_string(layer["BACKEND"])
    if issubclass(backend, InMemoryChannelLayer):
        hint = "Workers are other processes: use channels_redis.pubsub.RedisPubSubChannelLayer. Pages poll meanwhile."
        return [
            Hazard(
                "The in-memory channel layer does not reach other processes.",
                hint=hint,
                id="jobs.W001",
            )
        ]
    hosts = layer.get("CONFIG", {}).get("hosts") or [{}]
    if any(map(_is_malformed, hosts)):
        text = f"CHANNEL_LAYERS[{alias!r}] names no Redis: in a password, percent-encode what is no letter or digit."
        return [Error(text, hint=address.FORMS, id="jobs.E006")]
    if issubclass(backend, RedisChannelLayer) and not all(map(_has_patience, hosts)):
        hint = 'Give each host as {"address": "redis://…", "socket_timeout": 15} (channels_redis issue 422).'
        return [
            Hazard(
                "The core channel layer's idle sockets die after 5 s with redis-py 8.",
                hint=hint,
                id="jobs.W002",
            )
        ]
    return []


@register(Tags.compatibility)
def check_celery(**_: Any) -> list[CheckMessage]:
    """Look for a project without a Celery app of its own, and for pickle."""
    app = celery_app()
    if app.main == "default":
        hint = "Write `from .celery import app as celery_app` in your project's __init__.py."
        return [
            Hazard(
                "No Celery app: tasks would be sent to a default broker.",
                hint=hint,
                id="jobs.W004",
            )
        ]
    if {"pickle", "application/x-python-serialize"} & {
        app.conf.task_serializer,
        *app.conf.accept_content,
    }:
        hint = "Use JSON: whoever can write to the broker could run code in your workers."
        return [Hazard("Celery takes pickled messages.", hint=hint, id="jobs.W003")]
    return []


@register(Tags.urls)
def check_routes(**_: Any) -> list[CheckMessage]:
    """Look for the routes."""
    try:
        url_of("list")
    except NoReverseMatch:
        hint = 'Add path("jobs/", include("jobs.urls")) to your URLconf.'
        return [
            Hazard(
                "The routes of jobs are not included, so there is no waiting page.",
                hint=hint,
                id="jobs.W005",
            )
        ]
    return []


def _unknown(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    for name in given:
        if name not in NAMES:
            yield Error(
                f"JOBS has no key {name!r}.",
                hint=f"The keys are {', '.join(sorted(NAMES))}.",
                id="jobs.E001",
            )


def _mistyped(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    defaults = JobsSettings()
    for field in fields(JobsSettings):
        default = getattr(defaults, field.name)
        if field.name in given and not _fits(given[field.name], default):
            shown, wanted = _shown(given[field.name], default), type(default).__name__
            yield Error(f"JOBS[{field.name!r}] is {shown}; it must be a {wanted}.", id="jobs.E002")


def _shown(value: object, default: object) -> str:
    """Show a value that is no number, and only the type of any other: an address holds a password."""
    return repr(value) if isinstance(default, bool | int | float) else f"a {type(value).__name__}"


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    if isinstance(default, int | float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def _out_of_range(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    for name, value in given.items():
        if (
            name in NAMES
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and value <= 0
        ):
            yield Error(f"JOBS[{name!r}] is {value!r}; it must be above 0.", id="jobs.E003")
    beat, lost = (
        given.get(name, getattr(JobsSettings(), name)) for name in ("HEARTBEAT", "LOST_AFTER")
    )
    if _fits(beat, 1.0) and _fits(lost, 1.0) and lost < 2 * beat:
        hint = "A job counts as lost when two heartbeats in a row are missed, at the earliest."
        yield Error(
            f"JOBS['LOST_AFTER'] ({lost}) is below twice JOBS['HEARTBEAT'] ({beat}).",
            hint=hint,
            id="jobs.E003",
        )


def _nowhere(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    url = given.get("REDIS_URL")
    if isinstance(url, str):
        try:
            address.parse(url)
        except ValueError as error:
            yield Error(
                f"JOBS['REDIS_URL'] names no Redis: {error}", hint=address.FORMS, id="jobs.E006"
            )


def _misnamed(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    prefix = given.get("PREFIX")
    if isinstance(prefix, str) and not ALLOWED_PREFIX.fullmatch(prefix):
        hint = "Use 1 to 50 of A-Z a-z 0-9 _ and -. No dot: it stands between the parts of a group's name."
        yield Error(
            f"JOBS['PREFIX'] is {prefix!r}, which can begin no name of a group.",
            hint=hint,
            id="jobs.E008",
        )


def _is_malformed(host: Any) -> bool:
    url = host.get("address") if isinstance(host, dict) else host
    if not isinstance(url, str):
        return False
    try:
        address.parse(url)
    except ValueError:
        return True
    return False


def _has_patience(host: Any) -> bool:
    if not isinstance(host, dict) or "socket_timeout" not in host:
        return False
    timeout = host["socket_timeout"]
    return timeout is not None and timeout > LEAST_SOCKET_TIMEOUT
