"""Where a socket was opened from.

The browser's same-origin policy does not hold for sockets, so the server checks it.
"""

from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.utils.http import is_same_domain


def is_same_origin(scope: Any) -> bool:
    """Compare a socket's Origin (scheme, host, port) with our own, and `CSRF_TRUSTED_ORIGINS`.

    The same rule as Django's for unsafe requests. A socket carries the cookies, and no same-origin
    policy protects it (RFC 6455, 10.2). So a missing Origin is refused too.
    """
    origin = _header(scope, b"origin")
    if origin is None:
        return False
    request = HttpRequest()
    request.META = {
        "HTTP_HOST": _header(scope, b"host") or "",
        **{name: _header(scope, key) or "" for name, key in _forwarding_headers().items()},
    }
    scheme = "https" if scope.get("scheme") in ("wss", "https") or request.is_secure() else "http"
    try:
        here = f"{scheme}://{request.get_host()}"
    except DisallowedHost:
        return False
    return origin == here or _is_trusted(origin)


def _forwarding_headers() -> dict[str, bytes]:
    names = ["HTTP_X_FORWARDED_HOST"] if settings.USE_X_FORWARDED_HOST else []
    if settings.SECURE_PROXY_SSL_HEADER:
        names.append(settings.SECURE_PROXY_SSL_HEADER[0])
    return {name: name.removeprefix("HTTP_").replace("_", "-").lower().encode() for name in names}


def _is_trusted(origin: str) -> bool:
    scheme, _, host = origin.partition("://")
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        trusted_scheme, _, pattern = trusted.partition("://")
        is_match = host == pattern or pattern.startswith("*") and is_same_domain(host, pattern[1:])
        if scheme == trusted_scheme and is_match:
            return True
    return False


def _header(scope: Any, name: bytes) -> str | None:
    """Return a header's value; None if it is missing, or there more than once."""
    values = [
        value.decode("latin-1") for key, value in scope.get("headers", ()) if key.lower() == name
    ]
    return values[0] if len(values) == 1 else None
