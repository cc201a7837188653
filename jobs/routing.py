"""The sockets' addresses, for the host project's ASGI application."""

from collections.abc import Coroutine
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.urls import re_path

from .consumers import JobConsumer, NotFoundConsumer

websocket_urlpatterns = [
    re_path(r"^ws/jobs/$", JobConsumer.as_asgi()),
    re_path(r"^ws/jobs/(?P<job_id>[^/]+)/$", JobConsumer.as_asgi()),
    re_path(r"(?s)^ws/jobs/.*$", NotFoundConsumer.as_asgi()),
]


def websocket_application(scope: dict[str, Any], receive: Any, send: Any) -> Coroutine[Any, Any, None]:
    """Serve the sockets; an ASGI application.

    What `URLRouter(websocket_urlpatterns)` does, without the copies of the scope and the waiting calls that it keeps
    for each open socket. Raises `ValueError` for an address that is not below `ws/jobs/`.
    """
    # With daphne any client may name a root_path, so it is no more than a hint.
    prefix = settings.FORCE_SCRIPT_NAME or scope.get("root_path", "")
    for path in (scope["path"].removeprefix(prefix), scope["path"]):
        for pattern in websocket_urlpatterns:
            if found := pattern.pattern.match(path.lstrip("/")):
                consumer: JobConsumer | NotFoundConsumer = pattern.callback.consumer_class(**found[2])
                return consumer(scope, receive, send)
    raise ValueError(f"{scope['path']!r} is no address of the jobs' sockets; those are below /ws/jobs/.")


markcoroutinefunction(websocket_application)
