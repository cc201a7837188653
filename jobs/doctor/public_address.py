"""The last steps of `doctor`: whether a page of the public address gets its socket and its files.

Without an address they are taken inside this process, as far as that goes.
"""

import asyncio
import re
import secrets
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils.module_loading import import_string

from jobs.access import ticket
from jobs.conf import has_sockets, socket_path
from jobs.core import topics

from .plain_browser import Closed, PlainSocket, fetch
from .step import PATIENCE, Wrong, push, within

FILE = "jobs/bundle/waiting.js"
IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*["'](\.{1,2}/[^"']+)["']""")  # of another module
NO_SOCKETS = (
    "off: without ASGI_APPLICATION and CHANNEL_LAYERS, or with an empty SOCKET_PATH, pages poll"
)
PROXY_ADVICE = "The proxy must pass WebSocket upgrades and the Host header on; ALLOWED_HOSTS must name the host."
ASGI_ADVICE = (
    "It answers as a server without sockets does: run an ASGI server (daphne, uvicorn), with runserver by "
    '"daphne" as the first of INSTALLED_APPS, and have the proxy pass WebSocket upgrades on.'
)
ELSEWHERE = "https://elsewhere.invalid"  # an origin that nobody has (RFC 6761)


def try_socket(url: str) -> str:
    """Subscribe as a page would, by a ticket, and be told what a worker pushes."""
    if not has_sockets():
        return NO_SOCKETS
    address, path = _socket_of(url)
    tag = f"jobs-doctor:{secrets.token_hex(8)}"
    try:
        with PlainSocket(address, path, origin_of(url)) as page:
            page.say(action="subscribe", tag=tag, ticket=ticket(topics.tag_topic(tag)))
            heard = page.hear()
            if heard.get("event") != "subscribed":
                raise Wrong(
                    f"The server took no ticket: {heard}.",
                    "Do all processes have the same SECRET_KEY?",
                )
            push(topics.tag_topic(tag))
            page.hear()
            return f"a worker's push arrives at {address}{path}"
    except TimeoutError as error:
        raise Wrong(
            "A push did not arrive.", "Does the server have the same Redis and channel layer?"
        ) from error
    except (Closed, OSError) as error:
        is_unknown = isinstance(error, Closed) and error.code in (404, 405)
        advice = ASGI_ADVICE if is_unknown else PROXY_ADVICE
        raise Wrong(f"No socket at {address}{path}: {error}.", advice) from error


def try_origin(url: str) -> str:
    """Come from elsewhere, and be refused."""
    if not has_sockets():
        return NO_SOCKETS
    try:
        with PlainSocket(*_socket_of(url), ELSEWHERE) as page:
            page.say(action="ping")
            page.hear()
    except Closed as refusal:
        return f"a socket from another origin is refused ({refusal.code})"
    except OSError as error:
        raise Wrong(f"No answer: {error}.", "See socket.") from error
    raise Wrong(
        "A socket from another origin was let in.",
        "Serve jobs.routing, and look at CSRF_TRUSTED_ORIGINS.",
    )


def fetch_static(url: str) -> str:
    """Fetch the waiting page's script and one module that it imports, as a browser does."""
    address = urljoin(url, static(FILE))
    script = _fetch_script(
        address, origin_of(url), "Run collectstatic, and have STATIC_ROOT served."
    )
    if (found := IMPORT.search(script)) is None:
        return f"{address} is served"
    imported = urljoin(address, found[1])
    _fetch_script(
        imported,
        origin_of(url),
        f"{address} imports it by this name, so keep the files without a hash in their names "
        "(WHITENOISE_KEEP_ONLY_HASHED_FILES = False, say), or have the storage rewrite imports "
        "(support_js_module_import_aggregation = True). Until then the page's script does not run.",
    )
    return f"{address} is served, and so is {imported}, which it imports"


def _fetch_script(address: str, origin: str, advice: str) -> str:
    """Return the text of a module script; raises `Wrong` if a browser would not run it."""
    answer = fetch(address, origin)
    if answer.status != 200:
        raise Wrong(f"{address} answers {answer.status} ({answer.kind}).", advice)
    if "javascript" not in answer.kind:
        raise Wrong(
            f"{address} is served as {answer.kind}.",
            "Browsers run modules only as text/javascript.",
        )
    if origin_of(address) != origin and answer.allowed_origin not in ("*", origin):
        raise Wrong(
            f"{address} is on another host, and browsers refuse to run it.",
            f"Send the header Access-Control-Allow-Origin: {origin} with static files.",
        )
    return answer.text


def find_route() -> str:
    """Have the ASGI application open a socket, inside this process."""
    if not has_sockets():
        return NO_SOCKETS
    if not getattr(settings, "ASGI_APPLICATION", None):
        raise Wrong(
            "ASGI_APPLICATION is not set.",
            "Without sockets, pages poll; see the README's asgi.py.",
        )
    try:
        answer = within(
            PATIENCE, lambda: asyncio.run(_knock(import_string(settings.ASGI_APPLICATION)))
        )
    except Exception as error:
        answer = str(error)
    if answer != "websocket.accept":
        raise Wrong(
            f"ASGI_APPLICATION does not open {_path()}: {answer}.",
            "In asgi.py: application = jobs.routing.with_sockets(application).",
        )
    return f"the application opens {_path()}; whether it can be reached is told with --url"


def find_static() -> str:
    """Find the file as `collectstatic` would."""
    if not finders.find(FILE):
        raise Wrong(
            f"{FILE} is not found.",
            'Have "jobs" and "django.contrib.staticfiles" in INSTALLED_APPS.',
        )
    return f"{FILE} is found; whether it is served is told with --url"


def _socket_of(url: str) -> tuple[str, str]:
    """Return the address of the host at which a page of `url` opens its socket, and the path."""
    parts = urlsplit(urljoin(url, socket_path()))
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}", parts.path


def _path() -> str:
    return urlsplit(socket_path()).path


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address, as a browser would send them.

    Raises `ValueError`, which does not repeat the address: it may hold a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(
            "it is no address; give scheme and host, without a user: https://example.org"
        )
    return f"{parts.scheme}://{parts.netloc}"


async def _knock(application: Any) -> str:
    host = next(
        (host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"), "localhost"
    ).encode()
    headers = [(b"host", host), (b"origin", b"http://" + host)]
    scope = {
        "type": "websocket",
        "path": _path(),
        "query_string": b"",
        "headers": headers,
        "subprotocols": [],
    }
    coming: list[dict[str, Any]] = [
        {"type": "websocket.disconnect", "code": 1000},
        {"type": "websocket.connect"},
    ]
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop()

    async def send(answer: dict[str, Any]) -> None:
        answers.append(answer)

    await asyncio.wait_for(application(scope, receive, send), PATIENCE / 2)
    return str(answers[0]["type"])
