"""A tuned server process sends a page's frames at once; nothing else changes."""

import gc
import socket
from types import SimpleNamespace

import daphne.server
import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server

from jobs import serving

MUCH = 32 * 2**20  # bytes; more than the kernel takes at a time


class Reactor:
    """Notes what it is asked to watch."""

    def __init__(self):
        self.watched = []

    def addWriter(self, writer):  # noqa: N802 - Twisted's names
        self.watched.append(writer)

    def removeWriter(self, writer):  # noqa: N802
        if writer in self.watched:
            self.watched.remove(writer)

    def addReader(self, reader):  # noqa: N802
        pass

    removeReader = addReader  # noqa: N815


class Page(Protocol):
    """Stands for daphne's protocol of a WebSocket."""


@pytest.fixture
def connect():
    """Return a function that makes a Twisted connection, its other end, and its reactor."""
    ends = []

    def make(protocol=Page):
        here, there = socket.socketpair()
        ends.extend((here, there))
        here.setblocking(False)
        there.settimeout(3)
        reactor = Reactor()
        serving.write_at_once(reactor, Page)
        connection = Server(
            here, protocol(), ("127.0.0.1", 0), SimpleNamespace(_realPortNumber=0), 0, reactor
        )
        return connection, there, reactor

    yield make
    for end in ends:
        end.close()


def test_a_frame_is_sent_without_waking_the_reactor(connect):
    connection, page, reactor = connect()
    for frame in (b"first", b"second"):
        connection.write(frame)
        assert page.recv(100) == frame
    assert reactor.watched == []


def test_the_reactor_sends_the_rest_in_order(connect):
    connection, page, reactor = connect()
    connection.write(b"a" * MUCH)
    assert reactor.watched == [connection]
    connection.write(b"b")
    received = bytearray()
    while len(received) <= MUCH:
        received += page.recv(2**20)
        if reactor.watched:
            connection.doWrite()
    assert received == b"a" * MUCH + b"b" and reactor.watched == []


def test_closing_a_connection_is_left_to_the_reactor(connect):
    connection, page, reactor = connect()
    connection.write(b"goodbye")
    connection.loseConnection()
    assert page.recv(100) == b"goodbye" and reactor.watched == [connection]
    assert connection.doWrite() is not None  # by which the reactor knows that it has to close it


def test_a_vanished_page_is_left_to_the_reactor(connect):
    connection, page, reactor = connect()
    page.close()
    connection.write(b"too late")
    assert reactor.watched == [connection]
    assert isinstance(connection.doWrite(), Exception)


def test_other_connections_stay_with_the_reactor(connect):
    connection, page, reactor = connect(Protocol)
    connection.write(b"a page by HTTP")
    assert reactor.watched == [connection]
    page.setblocking(False)
    with pytest.raises(BlockingIOError):
        page.recv(100)


def test_a_twisted_with_another_buffer_is_left_alone(connect):
    connection, _page, reactor = connect()
    del connection._tempDataBuffer
    reactor.addWriter(connection)
    assert reactor.watched == [connection]


def test_tuning_twice_changes_the_reactor_once_and_freezes_objects(monkeypatch):
    monkeypatch.setattr(daphne.server.reactor, "addWriter", daphne.server.reactor.addWriter)
    before = gc.get_freeze_count()
    try:
        serving.tune_server()
        once = daphne.server.reactor.addWriter
        serving.tune_server()
        assert daphne.server.reactor.addWriter is once and once.writes_at_once
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
