"""What the tutorials teach: a group per job, a consumer that joins it, no stored state.

The naive one adds what they leave to the reader: who asks, whose job it is, and how it stands.
"""

import os

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")
django_application = get_asgi_application()  # fills the app registry, which the next import needs

from jobs.events import OF_STATE  # noqa: E402
from jobs.push.frames import frame  # noqa: E402
from jobs.repository import JobRepository, owner_name  # noqa: E402


class TutorialConsumer(AsyncJsonWebsocketConsumer):
    """Joins the group of its job, and passes on what is sent to it."""

    async def connect(self):
        await self.join()
        await self.accept()

    async def join(self):
        self.group = f"job_{self.scope['url_route']['kwargs']['job_id']}"
        await self.channel_layer.group_add(self.group, self.channel_name)

    async def disconnect(self, code):
        if self.channel_layer and hasattr(self, "group"):
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def job_ready(self, message):
        await self.send_json({"event": "ready", "job": message["job"]})


class CoreConsumer(TutorialConsumer):
    """The same on the core layer."""

    channel_layer_alias = "core"


class NaiveConsumer(TutorialConsumer):
    """The same with an access check and a state read, as one would write them."""

    async def connect(self):
        job = await database_sync_to_async(JobRepository().find)(
            self.scope["url_route"]["kwargs"]["job_id"]
        )
        if job.owner != owner_name(self.scope["user"]):
            await self.close()
            return
        await self.join()
        await self.accept()
        await self.send_json(frame(OF_STATE[job.state], job))


application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter(
            [
                path("ws/pubsub/<str:job_id>/", TutorialConsumer.as_asgi()),
                path("ws/core/<str:job_id>/", CoreConsumer.as_asgi()),
                path(
                    "ws/naive/<str:job_id>/",
                    AllowedHostsOriginValidator(AuthMiddlewareStack(NaiveConsumer.as_asgi())),
                ),
            ]
        ),
    }
)
