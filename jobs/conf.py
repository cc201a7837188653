"""The `JOBS` setting, typed and with defaults. No other module reads it.

All times are seconds and all sizes are bytes. The system checks report unknown keys and wrong
types when the project starts.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings
from django.urls import get_script_prefix

from .runtime.per_process import per_process

SOCKET_ROUTE = "ws/jobs/"  # where `jobs.routing` serves the sockets


@dataclass(frozen=True, slots=True)
class JobsSettings:
    """The values of `settings.JOBS`, with a default for each."""

    REDIS_URL: str = "redis://127.0.0.1:6379/0"
    PREFIX: str = "jobs"
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
    MAX_JOBS_PER_SECOND: int = 100
    MAX_FRAME: int = 4096
    MAX_SUBSCRIPTIONS: int = 100
    MAX_DATA: int = 262144
    ALLOWED_REDIRECT_HOSTS: list[str] = field(default_factory=list)
    SOCKET_PATH: str = SOCKET_ROUTE


NAMES = frozenset(f.name for f in fields(JobsSettings))


@per_process(reset_on="JOBS")
def jobs_settings() -> JobsSettings:
    """Return the settings in force, including those of `override_settings`."""
    given: dict[str, Any] = getattr(settings, "JOBS", {})
    return JobsSettings(**{name: value for name, value in given.items() if name in NAMES})


def has_sockets() -> bool:
    """Return whether pages can open a socket.

    They cannot if only WSGI serves the project, or if `SOCKET_PATH` is "".
    """
    served = getattr(settings, "ASGI_APPLICATION", None) or getattr(
        settings, "CHANNEL_LAYERS", None
    )
    return bool(served and jobs_settings().SOCKET_PATH)


def socket_path() -> str:
    """Return where pages open their socket, or "" if they have to poll.

    As with `STATIC_URL`, a relative path gets the prefix of the request (`FORCE_SCRIPT_NAME`,
    `root_path`). A path from the root and a whole address (`wss://…`) stay as they are.
    """
    if not has_sockets():
        return ""
    path = jobs_settings().SOCKET_PATH
    is_absolute = path.startswith(("/", "ws:", "wss:", "http:", "https:"))
    return path if is_absolute else get_script_prefix() + path
