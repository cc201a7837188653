"""Steps with `--url`: a page of the public address gets its socket and its files."""

import re
import secrets
from urllib.parse import urljoin, urlsplit

from django.templatetags.static import static

from jobs.access import ticket
from jobs.conf import has_sockets, socket_path
from jobs.core import topics

from .channel_layer import NO_SOCKETS
from .plain_browser import PlainSocket, SocketClosed, fetch
from .step import StepFailed, push_probe

SCRIPT = "jobs/bundle/waiting.js"
RELATIVE_IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*["'](\.{1,2}/[^"']+)["']""")
FOREIGN_ORIGIN = "https://elsewhere.invalid"  # no site can have it (RFC 6761)
PROXY_ADVICE = (
    "The proxy must pass on WebSocket upgrades and the Host header. "
    "ALLOWED_HOSTS must name the host."
)
ASGI_ADVICE = (
    "A server without sockets answers like this: run an ASGI server (daphne, uvicorn). "
    'For runserver, make "daphne" the first of INSTALLED_APPS. '
    "The proxy must pass on WebSocket upgrades."
)
HASH_ADVICE = (
    "So keep the files without a hash in their names "
    "(WHITENOISE_KEEP_ONLY_HASHED_FILES = False, say), or let the storage rewrite imports "
    "(support_js_module_import_aggregation = True). Until then the page's script does not run."
)


def try_socket(url: str) -> str:
    """Subscribe with a ticket as a page does, and wait for a push of this process."""
    if not has_sockets():
        return NO_SOCKETS
    address, path = _socket_of(url)
    try:
        with PlainSocket(address, path, origin_of(url)) as page:
            _push_to(page)
    except TimeoutError as error:
        advice = "Does the server have the same Redis and channel layer?"
        raise StepFailed("A push did not arrive.", advice) from error
    except (SocketClosed, OSError) as error:
        is_unknown_path = isinstance(error, SocketClosed) and error.code in (404, 405)
        advice = ASGI_ADVICE if is_unknown_path else PROXY_ADVICE
        raise StepFailed(f"No socket at {address}{path}: {error}.", advice) from error
    return f"a worker's push arrives at {address}{path}"


def try_origin(url: str) -> str:
    """Open a socket from a foreign origin, which the server must refuse."""
    if not has_sockets():
        return NO_SOCKETS
    try:
        with PlainSocket(*_socket_of(url), FOREIGN_ORIGIN) as page:
            page.send(action="ping")
            page.receive()
    except SocketClosed as refusal:
        return f"a socket from another origin is refused ({refusal.code})"
    except OSError as error:
        raise StepFailed(f"No answer: {error}.", "See the step socket.") from error
    advice = "Serve jobs.routing, and check CSRF_TRUSTED_ORIGINS."
    raise StepFailed("The server accepted a socket from another origin.", advice)


def fetch_static(url: str) -> str:
    """Fetch the waiting page's script, and the first module that it imports, as a browser does."""
    address = urljoin(url, static(SCRIPT))
    advice = "Run collectstatic, and serve the folder STATIC_ROOT."
    script = _fetch_script(address, origin_of(url), advice)
    found = RELATIVE_IMPORT.search(script)
    if found is None:
        return f"{address} is served"
    imported = urljoin(address, found[1])
    advice = f"{address} imports it by this name. {HASH_ADVICE}"
    _fetch_script(imported, origin_of(url), advice)
    return f"{address} is served, and so is {imported}, which it imports"


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address, as a browser sends them.

    Raises `ValueError`, which does not repeat the address because it may hold a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(
            "it is no address; give scheme and host, without a user: https://example.org"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _push_to(page: PlainSocket) -> None:
    """Subscribe to a tag of our own, push to it, and wait until the push arrives."""
    tag = f"jobs-doctor:{secrets.token_hex(8)}"
    topic = topics.tag_topic(tag)
    page.send(action="subscribe", tag=tag, ticket=ticket(topic))
    answer = page.receive()
    if answer.get("event") != "subscribed":
        text = f"The server refused our ticket: {answer}."
        raise StepFailed(text, "Do all processes have the same SECRET_KEY?")
    push_probe(topic)
    page.receive()


def _socket_of(url: str) -> tuple[str, str]:
    """Return the address of the host where a page of `url` opens its socket, and the path."""
    parts = urlsplit(urljoin(url, socket_path()))
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}", parts.path


def _fetch_script(address: str, origin: str, advice: str) -> str:
    """Return the text of a module script, or fail if a browser would not run it."""
    response = fetch(address, origin)
    if response.status != 200:
        text = f"{address} answers {response.status} ({response.content_type})."
        raise StepFailed(text, advice)
    if "javascript" not in response.content_type:
        text = f"{address} is served as {response.content_type}."
        raise StepFailed(text, "Browsers run modules only as text/javascript.")
    if origin_of(address) != origin and response.allowed_origin not in ("*", origin):
        text = f"{address} is on another host, and browsers refuse to run it."
        advice = f"Send the header Access-Control-Allow-Origin: {origin} with static files."
        raise StepFailed(text, advice)
    return response.text
