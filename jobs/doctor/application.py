"""Steps without a public address: the socket's route and the static files, inside this process."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils.module_loading import import_string

from jobs.conf import has_sockets, socket_path

from . import step
from .channel_layer import NO_SOCKETS
from .public_address import SCRIPT
from .step import StepFailed, bounded


def find_route() -> str:
    """Let the ASGI application open a socket."""
    if not has_sockets():
        return NO_SOCKETS
    if not getattr(settings, "ASGI_APPLICATION", None):
        advice = "Without sockets, pages poll. For sockets, see the README's asgi.py."
        raise StepFailed("ASGI_APPLICATION is not set.", advice)
    path = urlsplit(socket_path()).path
    answer = _answer_on(path)
    if answer != "websocket.accept":
        text = f"ASGI_APPLICATION does not open {path}: {answer}."
        advice = "In asgi.py: application = jobs.routing.with_sockets(application)."
        raise StepFailed(text, advice)
    return f"the application opens {path}; with --url, the doctor also tries to reach it"


def find_static() -> str:
    """Find the waiting page's script as `collectstatic` would."""
    if not finders.find(SCRIPT):
        advice = 'Add "jobs" and "django.contrib.staticfiles" to INSTALLED_APPS.'
        raise StepFailed(f"{SCRIPT} is not found.", advice)
    return f"{SCRIPT} is found; with --url, the doctor also fetches it"


def _answer_on(path: str) -> str:
    """Return the application's first answer to a WebSocket, or the error that it raised."""
    try:
        application = import_string(settings.ASGI_APPLICATION)
        return bounded(lambda: asyncio.run(_open_socket(application, path)))
    except Exception as error:
        return str(error)


async def _open_socket(application: Any, path: str) -> str:
    """Open a socket and close it at once, as Channels' protocol has it."""
    incoming: list[dict[str, Any]] = [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(answer: dict[str, Any]) -> None:
        answers.append(answer)

    connection = application(_scope(path), receive, send)
    await asyncio.wait_for(connection, step.STEP_TIMEOUT / 2)
    return str(answers[0]["type"])


def _scope(path: str) -> dict[str, Any]:
    """Return an ASGI scope with a host that the project serves."""
    hosts = (host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*")
    host = next(hosts, "localhost").encode()
    return {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", host), (b"origin", b"http://" + host)],
        "subprotocols": [],
    }
