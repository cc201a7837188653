"""The doctor's steps over the public address."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jobs.doctor import public_address
from jobs.doctor.plain_browser import Response, SocketClosed
from jobs.doctor.public_address import fetch_static, origin_of, try_origin, try_socket
from jobs.doctor.step import StepFailed
from tests.docs.documents import ROOT

HOST = "https://example.org"


SCRIPT = 'import { claim } from "./claim.js"; import "./more.js";'
BAD = [
    ({"waiting.js": (404, "text/html")}, "waiting.js answers 404.*collectstatic"),
    ({"waiting.js": (301, "text/javascript")}, "waiting.js answers 301"),
    ({"waiting.js": (200, "text/plain")}, "waiting.js is served as text/plain.*text/javascript"),
    (
        {"claim.js": (404, "text/html")},
        "claim.js answers 404.*waiting.js imports it by this name.*HASHED",
    ),
    ({"claim.js": (200, "text/html")}, "claim.js is served as text/html"),
]


@pytest.fixture
def files(monkeypatch):
    """Return a function that sets the answers that are not a good script."""

    def serve(answers, allowed=""):
        def fetch(address, origin):
            status, content_type = answers.get(
                address.rpartition("/")[2], (200, "text/javascript")
            )
            return Response(status, content_type, allowed, SCRIPT)

        monkeypatch.setattr(public_address, "fetch", fetch)

    return serve


@pytest.mark.parametrize(("answers", "said"), BAD)
def test_a_script_or_import_that_is_not_served_fails(files, answers, said):
    files(answers)
    with pytest.raises(StepFailed, match=said):
        fetch_static(HOST)


def test_the_waiting_page_s_script_and_one_import_are_fetched(files):
    files({})
    said = fetch_static(HOST)
    assert (
        f"{HOST}/static/jobs/bundle/waiting.js is served" in said
        and f"{HOST}/static/jobs/bundle/claim.js" in said
    )


@pytest.fixture
def static_site(tmp_path, monkeypatch):
    """Serve our static files over HTTP, and return their folder and address."""
    shutil.copytree(ROOT / "frontend" / "static", tmp_path / "static")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path / "static" / "jobs", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_imports_are_followed_over_http(static_site, monkeypatch):
    folder, address = static_site
    assert fetch_static(address).endswith("jobs/bundle/waiting.js is served")
    monkeypatch.setattr(public_address, "SCRIPT", "jobs/waiting.js")  # the source of the bundle
    said = fetch_static(address)
    assert "which it imports" in said
    imported = said.rpartition("/")[2].partition(",")[0]
    (folder / imported).unlink()  # like a storage that keeps only hashed names
    with pytest.raises(StepFailed, match=f"{imported} answers 404"):
        fetch_static(address)


def test_files_on_another_host_must_allow_our_origin(files, settings):
    settings.STATIC_URL = "https://cdn.example/s/"
    files({})
    with pytest.raises(
        StepFailed,
        match="https://cdn.example/s/jobs/bundle/waiting.js is on another host.*Allow-Origin",
    ):
        fetch_static(HOST)
    files({}, allowed=HOST)
    assert "https://cdn.example/s/jobs/bundle/claim.js" in fetch_static(HOST)


class FakeSocket:
    """A socket of the public address with prepared answers."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, *target):
        self.target = target
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def send(self, **frame):
        pass

    def receive(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([SocketClosed(4400)], "4400.*ALLOWED_HOSTS"),
        ([SocketClosed(404)], "404.*an ASGI server.*daphne"),
        ([ConnectionResetError("reset")], "reset.*ALLOWED_HOSTS"),
        ([{"event": "error", "code": "not_found"}], "SECRET_KEY"),
        ([{"event": "subscribed"}, TimeoutError()], "did not arrive"),
    ],
)
def test_a_socket_that_delivers_nothing_fails(monkeypatch, answers, said):
    monkeypatch.setattr(public_address, "PlainSocket", FakeSocket(*answers))
    with pytest.raises(StepFailed, match=said):
        try_socket(HOST)


def test_a_server_that_accepts_a_foreign_origin_fails(monkeypatch):
    monkeypatch.setattr(public_address, "PlainSocket", FakeSocket({"event": "pong"}))
    with pytest.raises(StepFailed, match="CSRF_TRUSTED_ORIGINS"):
        try_origin(HOST)
    monkeypatch.setattr(public_address, "PlainSocket", FakeSocket(SocketClosed(4400)))
    assert "refused (4400)" in try_origin(HOST)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("ws/jobs/", (HOST, "/ws/jobs/")),
        ("/live/ws/jobs/", (HOST, "/live/ws/jobs/")),
        ("wss://live.example/ws/jobs/", ("https://live.example", "/ws/jobs/")),
    ],
)
def test_the_socket_is_tried_where_pages_open_it(settings, monkeypatch, path, place):
    settings.JOBS = settings.JOBS | {"SOCKET_PATH": path}
    socket = FakeSocket({"event": "subscribed"}, {"event": "doctor"})
    monkeypatch.setattr(public_address, "PlainSocket", socket)
    assert try_socket(HOST) == f"a worker's push arrives at {''.join(place)}"
    assert socket.target == (*place, HOST)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("step", [try_socket, try_origin])
def test_a_project_without_sockets_skips_both_socket_steps(step):
    assert step("http://127.0.0.1:1").startswith("off: ")


@pytest.mark.parametrize(
    "url", ["https://ann:secret@example.org", "ftp://ann:secret@a", "example.org", "https://"]
)
def test_a_malformed_address_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match="no address.*https://example.org") as refusal:
        origin_of(url)
    assert "secret" not in str(refusal.value)
