"""The sockets' addresses, for the host project's ASGI application."""

from channels.routing import URLRouter
from channels.sessions import SessionMiddlewareStack
from django.urls import re_path

from .consumers import JobConsumer, NotFoundConsumer

websocket_urlpatterns = [
    re_path(r"^ws/jobs/$", JobConsumer.as_asgi()),
    re_path(r"^ws/jobs/(?P<job_id>[^/]+)/$", JobConsumer.as_asgi()),
    re_path(r"(?s)^ws/jobs/.*$", NotFoundConsumer.as_asgi()),
]

websocket_application = SessionMiddlewareStack(URLRouter(websocket_urlpatterns))
