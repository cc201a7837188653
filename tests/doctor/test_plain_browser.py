"""The doctor's browser: a handshake, frames both ways, and how a server refuses."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest
from websockets.sync.server import serve

from jobs.doctor.plain_browser import Closed, PlainSocket, fetch

ORIGIN = "https://example.org"


@contextmanager
def server(handler, **options):
    """Run a WebSocket server; yields its address."""
    with serve(handler, "127.0.0.1", 0, **options) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.socket.getsockname()[1]}"
        running.shutdown()
        thread.join()


@contextmanager
def raw_server(answer):
    """Answer whatever is asked with these bytes, and hang up."""

    def run():
        with listener.accept()[0] as connection:
            connection.recv(10_000)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def echo(connection):
    for message in connection:
        connection.send(message)


@pytest.mark.parametrize("text", ["", "ü" * 20, "x" * 125, "x" * 126, "x" * 60_000, "x" * 65_000])
def test_what_is_said_is_heard(text):
    with server(echo) as address, PlainSocket(address, "/ws/", ORIGIN) as page:
        page.say(text=text)
        assert page.hear() == {"text": text}


def test_path_origin_and_host_are_sent_as_a_browser_does():
    def tell(connection):
        headers = connection.request.headers
        connection.send(json.dumps({"path": connection.request.path, "origin": headers["Origin"]}))

    with (
        server(tell, origins=[ORIGIN]) as address,
        PlainSocket(address, "/ws/jobs/", ORIGIN) as page,
    ):
        assert page.hear() == {"path": "/ws/jobs/", "origin": ORIGIN}


def test_a_close_tells_its_code():
    with (
        server(lambda connection: connection.close(4400)) as address,
        PlainSocket(address, "/", ORIGIN) as page,
        pytest.raises(Closed) as refusal,
    ):
        page.hear()
    assert refusal.value.code == 4400


def test_a_handshake_that_is_refused_tells_the_status():
    with (
        server(echo, origins=["https://other.example"]) as address,
        pytest.raises(Closed) as refusal,
    ):
        PlainSocket(address, "/", ORIGIN)
    assert refusal.value.code == 403


@pytest.mark.parametrize(
    "answer", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 xx\r\n"]
)
def test_an_answer_that_is_none_is_a_refusal(answer):
    with raw_server(answer) as address, pytest.raises(Closed):
        PlainSocket(address, "/", ORIGIN)


def test_a_server_that_hangs_up_in_the_middle_is_an_error_of_the_network():
    begun = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hel"
    with (
        raw_server(begun) as address,
        PlainSocket(address, "/", ORIGIN) as page,
        pytest.raises(OSError, match="hung up"),
    ):
        page.hear()


def test_a_ping_is_passed_over():
    frames = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x89\x02hi\x81\x02{}"
    with raw_server(frames) as address, PlainSocket(address, "/", ORIGIN) as page:
        assert page.hear() == {}


def test_a_file_is_fetched_with_its_type():
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/javascript; charset=utf-8\r\nContent-Length: 2\r\n"
    )
    with raw_server(head + b"Access-Control-Allow-Origin: *\r\n\r\n{}") as address:
        assert fetch(f"{address}/static/client.js?v=1", ORIGIN) == (
            200,
            "text/javascript",
            "*",
            "{}",
        )
    with raw_server(head + b"\r\n{}") as address:
        assert fetch(f"{address}/static/client.js", ORIGIN) == (200, "text/javascript", "", "{}")


def test_nobody_there_is_an_error_of_the_network():
    with pytest.raises(ConnectionRefusedError):
        fetch("http://127.0.0.1:1/client.js", ORIGIN)
    with pytest.raises(ConnectionRefusedError):
        PlainSocket("http://127.0.0.1:1", "/", ORIGIN)
