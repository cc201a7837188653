"""The `JOBS` setting, typed and with defaults: the only place that reads it.

Seconds and bytes throughout. Unknown keys and wrong types are left to `checks`, which names them at start-up.
"""

from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True)
class JobsSettings:
    """What `settings.JOBS` says, or the default where it says nothing."""

    REDIS_URL: str = "redis://127.0.0.1:6379/0"
    CHANNEL_LAYER: str = "default"
    SHARDS: int = 64
    TTL: int = 86400
    ARCHIVE: bool = True
    ARCHIVE_DAYS: int = 30
    START_TIMEOUT: float = 3600
    HEARTBEAT: float = 10
    LOST_AFTER: float = 45
    RECONCILE_SECONDS: float = 15
    READY_LEASE: float = 30
    TICKET_AGE: int = 900
    PROGRESS_PER_SECOND: float = 10
    MAX_FRAMES_PER_SECOND: int = 50
    MAX_FRAME: int = 4096
    MAX_SUBSCRIPTIONS: int = 100
    MAX_DATA: int = 262144
    ALLOWED_REDIRECT_HOSTS: list[str] = field(default_factory=list)


NAMES = frozenset(f.name for f in fields(JobsSettings))


@cache
def jobs_settings() -> JobsSettings:
    """Return the settings in force, read once and again after `override_settings`."""
    given: dict[str, Any] = getattr(settings, "JOBS", {})
    return JobsSettings(**{name: value for name, value in given.items() if name in NAMES})


def is_store_server(host: Any) -> bool:
    """Say whether a host of the channel layer, in any of its spellings, is the server that holds the jobs."""
    if isinstance(host, str):
        host = {"address": host}
    if isinstance(host, tuple | list):
        host = {"host": host[0], "port": host[1]}
    if "path" in host:  # a socket in the file system
        place = (str(host["path"]), 0)
    else:
        place = _place(host["address"]) if "address" in host else _named(host.get("host"), host.get("port"))
    return "master_name" not in host and place == _place(jobs_settings().REDIS_URL)


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.path, 0) if parts.scheme == "unix" else _named(parts.hostname, parts.port)


def _named(host: str | None, port: int | None) -> tuple[str, int]:
    return ("127.0.0.1" if host in (None, "localhost") else str(host)), port or 6379


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "JOBS":
        jobs_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="jobs.conf")
