"""The ASGI application: Django serves pages, Channels sockets, and DEBUG static files."""

import os

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django_application = get_asgi_application()  # fills the app registry, which the next import needs

from jobs.routing import with_sockets  # noqa: E402
from jobs.serving import tune_server  # noqa: E402


async def not_found(scope, receive, send):
    """Accept and close, because only then the browser sees the reason (4404: not found)."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 4404})


pages = ASGIStaticFilesHandler(django_application) if settings.DEBUG else django_application


async def http(scope, receive, send):
    """Serve the pages at the root.

    Daphne would take a prefix for all links from any client's header `Daphne-Root-Path`.
    A project below a prefix sets FORCE_SCRIPT_NAME.
    """
    await pages({**scope, "root_path": ""}, receive, send)


application = with_sockets(ProtocolTypeRouter({"http": http, "websocket": not_found}))

tune_server()
