"""The sockets' addresses."""

import pytest
from asgiref.compatibility import is_double_callable
from channels.testing import ApplicationCommunicator, WebsocketCommunicator
from django.contrib.sessions.backends.db import SessionStore
from django.core.handlers.asgi import ASGIHandler
from django.urls import Resolver404
from django.urls.resolvers import RegexPattern

from jobs.live.consumer import JobConsumer, NotFoundConsumer
from jobs.routing import websocket_application, websocket_urlpatterns, with_sockets


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


@pytest.mark.parametrize(
    "path", ["ws/jobs/a/b/", "ws/jobs/a", "ws/jobs//", "ws/jobs/a/b", NEWLINE]
)
def test_any_other_address_below_ours_is_not_found(path):
    assert consumer_at(path)[0] is NotFoundConsumer


@pytest.mark.parametrize("path", ["ws/", "ws/other/", "ws/jobsx/", "x/ws/jobs/", "ws/jobs"])
def test_other_paths_are_left_to_the_project(path):
    with pytest.raises(Resolver404):
        consumer_at(path)


@pytest.mark.usefixtures("database_file")
async def test_the_application_loads_the_session_only_when_needed(monkeypatch):
    loaded = []
    monkeypatch.setattr(SessionStore, "load", lambda self: loaded.append(self.session_key) or {})
    headers = [
        (b"host", b"testserver"),
        (b"origin", b"http://testserver"),
        (b"cookie", b"sessionid=parcel-1-session"),
    ]
    communicator = WebsocketCommunicator(websocket_application, "/ws/jobs/", headers=headers)
    assert (await communicator.connect())[0]
    await communicator.send_json_to({"action": "ping"})
    assert await communicator.receive_json_from() == {"event": "pong"} and loaded == []
    await communicator.send_json_to({"action": "subscribe", "mine": True})
    assert (await communicator.receive_json_from())["code"] == "not_found" and loaded == [
        "parcel-1-session"
    ]
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
async def test_a_path_prefix_is_removed_and_a_forged_one_ignored(path, prefix):
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    communicator = WebsocketCommunicator(websocket_application, path, headers=headers)
    communicator.scope["root_path"] = prefix
    assert (await communicator.connect())[0]
    await communicator.send_json_to({"action": "ping"})
    assert await communicator.receive_json_from() == {"event": "pong"}
    await communicator.disconnect()


def test_a_foreign_address_raises_an_error_that_names_it():
    with pytest.raises(ValueError, match="'/ws/other/' is not an address of the jobs' sockets"):
        websocket_application({"path": "/ws/other/"}, None, None)


async def theirs(scope, receive, send):
    """Echo a socket's first text; answer anything else by the type of what is wanted."""
    if scope["type"] != "websocket":
        await send({"type": "theirs", "of": scope["type"]})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": (await receive())["text"]})


def socket_to(path, application):
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    return WebsocketCommunicator(with_sockets(application), path, headers=headers)


async def heard(path, application):
    """Return what a socket answers to a ping."""
    communicator = socket_to(path, application)
    assert (await communicator.connect())[0]
    await communicator.send_json_to({"action": "ping"})
    answer = await communicator.receive_json_from()
    await communicator.disconnect()
    return answer


@pytest.mark.parametrize("application", [theirs, ASGIHandler()], ids=["own sockets", "none"])
async def test_our_sockets_work_beside_a_project_s_own_application(application):
    assert await heard("/ws/jobs/", application) == {"event": "pong"}


async def test_a_project_s_own_sockets_stay_its_own():
    assert await heard("/ws/echo/", theirs) == {"action": "ping"}


@pytest.mark.parametrize(
    ("path", "application"), [("/ws/", ASGIHandler()), ("/ws/jobs/a/b/", theirs)]
)
async def test_a_socket_to_an_unknown_address_is_closed_with_4404(path, application):
    communicator = socket_to(path, application)
    assert (await communicator.connect())[0]
    assert await communicator.receive_output() == {"type": "websocket.close", "code": 4404}


@pytest.mark.parametrize("kind", ["http", "lifespan"])
async def test_everything_but_sockets_is_left_to_the_project(kind):
    communicator = ApplicationCommunicator(
        with_sockets(theirs), {"type": kind, "path": "/ws/jobs/"}
    )
    assert await communicator.receive_output() == {"type": "theirs", "of": kind}


def test_servers_recognise_a_single_callable_application():
    assert not is_double_callable(with_sockets(theirs))
