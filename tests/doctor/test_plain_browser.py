"""The doctor's browser: a handshake, frames both ways, and how a server refuses."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest
from websockets.sync.server import serve

from jobs.doctor.plain_browser import PlainSocket, SocketClosed, fetch

ORIGIN = "https://example.org"


@contextmanager
def server(handler, **options):
    """Run a WebSocket server, and yield its address."""
    with serve(handler, "127.0.0.1", 0, **options) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.socket.getsockname()[1]}"
        running.shutdown()
        thread.join()


@contextmanager
def raw_server(answer):
    """Answer one request with these bytes, and close the connection."""

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
def test_a_frame_comes_back(text):
    with server(echo) as address, PlainSocket(address, "/ws/", ORIGIN) as page:
        page.send(text=text)
        assert page.receive() == {"text": text}


def test_path_origin_and_host_are_sent_as_browsers_do():
    def tell(connection):
        headers = connection.request.headers
        connection.send(json.dumps({"path": connection.request.path, "origin": headers["Origin"]}))

    with (
        server(tell, origins=[ORIGIN]) as address,
        PlainSocket(address, "/ws/jobs/", ORIGIN) as page,
    ):
        assert page.receive() == {"path": "/ws/jobs/", "origin": ORIGIN}


def test_a_close_has_its_code():
    with (
        server(lambda connection: connection.close(4400)) as address,
        PlainSocket(address, "/", ORIGIN) as page,
        pytest.raises(SocketClosed) as refusal,
    ):
        page.receive()
    assert refusal.value.code == 4400


def test_a_refused_handshake_has_its_status():
    with (
        server(echo, origins=["https://other.example"]) as address,
        pytest.raises(SocketClosed) as refusal,
    ):
        PlainSocket(address, "/", ORIGIN)
    assert refusal.value.code == 403


@pytest.mark.parametrize(
    "answer", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 xx\r\n"]
)
def test_an_answer_that_is_not_http_is_a_refusal(answer):
    with raw_server(answer) as address, pytest.raises(SocketClosed):
        PlainSocket(address, "/", ORIGIN)


def test_a_server_that_disconnects_inside_a_frame_is_a_network_error():
    begun = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hel"
    with (
        raw_server(begun) as address,
        PlainSocket(address, "/", ORIGIN) as page,
        pytest.raises(OSError, match="closed the connection"),
    ):
        page.receive()


def test_a_ping_is_ignored():
    frames = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x89\x02hi\x81\x02{}"
    with raw_server(frames) as address, PlainSocket(address, "/", ORIGIN) as page:
        assert page.receive() == {}


def test_a_file_is_fetched_with_its_content_type():
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


def test_an_address_without_a_server_is_a_network_error():
    with pytest.raises(ConnectionRefusedError):
        fetch("http://127.0.0.1:1/client.js", ORIGIN)
    with pytest.raises(ConnectionRefusedError):
        PlainSocket("http://127.0.0.1:1", "/", ORIGIN)
