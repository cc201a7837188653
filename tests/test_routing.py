"""The sockets' addresses."""

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.sessions.backends.db import SessionStore
from django.urls import Resolver404
from django.urls.resolvers import RegexPattern

from jobs.consumers import JobConsumer, NotFoundConsumer
from jobs.routing import websocket_application, websocket_urlpatterns

from .surroundings import database_file  # noqa: F401 - a fixture


def consumer_at(path):
    """Return the consumer that serves an address, and the job in it."""
    for pattern in websocket_urlpatterns:
        assert isinstance(pattern.pattern, RegexPattern)
        if match := pattern.resolve(path):
            return match.func.consumer_class, match.kwargs
    raise Resolver404(path)


def test_there_is_a_socket_for_all_jobs_and_one_for_each():
    assert consumer_at("ws/jobs/") == (JobConsumer, {})
    assert consumer_at("ws/jobs/parcel-1/") == (JobConsumer, {"job_id": "parcel-1"})


NEWLINE = "ws/jobs/a\nb/c"


@pytest.mark.parametrize("path", ["ws/jobs/a/b/", "ws/jobs/a", "ws/jobs//", "ws/jobs/a/b", NEWLINE])
def test_all_else_below_is_not_found(path):
    assert consumer_at(path)[0] is NotFoundConsumer


@pytest.mark.parametrize("path", ["ws/", "ws/other/", "ws/jobsx/", "x/ws/jobs/", "ws/jobs"])
def test_other_paths_are_left_to_the_project(path):
    with pytest.raises(Resolver404):
        consumer_at(path)


@pytest.mark.usefixtures("database_file")
async def test_the_application_brings_the_session_and_does_not_load_it_before_it_must(monkeypatch):
    loaded = []
    monkeypatch.setattr(SessionStore, "load", lambda self: loaded.append(self.session_key) or {})
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver"), (b"cookie", b"sessionid=parcel-1-session")]
    communicator = WebsocketCommunicator(websocket_application, "/ws/jobs/", headers=headers)
    assert (await communicator.connect())[0]
    await communicator.send_json_to({"action": "ping"})
    assert await communicator.receive_json_from() == {"event": "pong"} and loaded == []
    await communicator.send_json_to({"action": "subscribe", "mine": True})
    assert (await communicator.receive_json_from())["code"] == "not_found" and loaded == ["parcel-1-session"]
    await communicator.disconnect()


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/ws/jobs/", ""),
        ("/shop/ws/jobs/", "/shop"),
        ("/ws/jobs/", "/ws"),
        ("/ws/jobs/", "/ws/jobs/"),
        ("/ws/jobs/", "/x"),
    ],
)
async def test_a_prefix_is_taken_off_and_one_that_a_client_has_made_up_does_no_harm(path, prefix):
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    communicator = WebsocketCommunicator(websocket_application, path, headers=headers)
    communicator.scope["root_path"] = prefix
    assert (await communicator.connect())[0]
    await communicator.send_json_to({"action": "ping"})
    assert await communicator.receive_json_from() == {"event": "pong"}
    await communicator.disconnect()


def test_an_address_of_somebody_else_s_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="'/ws/other/' is no address of the jobs' sockets"):
        websocket_application({"path": "/ws/other/"}, None, None)
