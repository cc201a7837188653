"""System checks of what only a public site needs: `manage.py check --deploy` runs them."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as Hazard

from jobs.store import address

from .settings import value_of

COOKIES = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
LOOPBACK = ("127.0.0.1", "::1")


def check_cookies(**_: Any) -> list[CheckMessage]:
    """Warn if cookies travel in clear, because the session's cookie makes a visitor an owner."""
    missing = [name for name in COOKIES if not getattr(settings, name)]
    if settings.DEBUG or not missing:
        return []
    text = "Cookies travel in clear. Anybody who reads the session's cookie owns its jobs."
    return [Hazard(text, hint=f"Set {' and '.join(missing)} to True.", id="jobs.W010")]


def check_redis(**_: Any) -> list[CheckMessage]:
    """Warn if anybody on the network can write to Redis."""
    try:
        redis = address.parse(str(value_of("REDIS_URL")))
    except ValueError:
        return []  # jobs.E006 says so
    if settings.DEBUG or redis.password or all(map(_is_local, redis.places)):
        return []
    hint = (
        "Anybody who can write to it can complete another person's job. "
        "Use a password, TLS (rediss://) and a network of its own."
    )
    return [Hazard("The Redis of JOBS['REDIS_URL'] takes no password.", hint=hint, id="jobs.W011")]


def _is_local(place: address.Place) -> bool:
    host_or_socket, _port = place
    return host_or_socket.startswith("/") or host_or_socket in LOOPBACK
