"""Bytes on a socket that no browser would send, and too much of everything (FAULTS.md H7, H8)."""

import asyncio
import base64
import json
import os
import socket as sockets
import struct
import zlib

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.system.harness.printing import say
from tests.system.harness.site import Site
from tests.system.harness.socket_page import SocketPage, listening, lost
from tests.system.harness.tickets import ticket_for
from tests.system.harness.usage import memory
from tests.system.harness.waiting import eventually


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site that the tests here leave as they found it, with short pings and timeouts."""
    site = Site(prepared_database, RECONCILE_SECONDS=1.0)
    site.server_options = ["--ping-interval", "1", "--ping-timeout", "3"]
    with site:
        yield site


@pytest.fixture
def job_id(site):
    """Return a running job of Ann's."""
    return site.shell.create()[0]


def frame(opcode, payload=b"", final=True, rsv=0):
    """Return one masked frame of RFC 6455, or a wrong one."""
    head = bytes([(final << 7) | rsv | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    else:
        head += (
            bytes([0x80 | 126]) + struct.pack("!H", size)
            if size < 65536
            else bytes([0x80 | 127]) + struct.pack("!Q", size)
        )
    return head + b"\0\0\0\0" + payload


def shake_hands(site, extra=b""):
    """Open a socket by hand; return it after the server's 101."""
    raw = sockets.create_connection(("127.0.0.1", site.port), timeout=10)
    key = base64.b64encode(os.urandom(16))
    host = f"127.0.0.1:{site.port}".encode()
    raw.sendall(
        b"GET /ws/jobs/ HTTP/1.1\r\nHost: "
        + host
        + b"\r\nOrigin: http://"
        + host
        + b"\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + key
        + b"\r\n"
        + extra
        + b"\r\n"
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101")
    return raw, answer


def code_after(raw, *frames):
    """Send frames; return the server's close code, or "cut" when it just hangs up."""
    received = b""
    try:
        for one in frames:
            raw.sendall(one)
        while data := raw.recv(65536):
            received += data
            if (at := received.find(b"\x88")) >= 0 and len(received) >= at + 4:
                return struct.unpack("!H", received[at + 2 : at + 4])[0]
    except OSError:
        pass
    finally:
        raw.close()
    return "cut"


MEGABYTE = b"a" * 2**20
BAD_BYTES = {
    "binary": ([frame(2, b"\x00\x01")], {4400}),
    "an empty binary": ([frame(2)], {4400}),
    "five thousand characters": ([frame(1, b"a" * 5000)], {4400}),
    "two megabytes": ([frame(1, 2 * MEGABYTE)], {4400, 1009, "cut"}),
    "endless fragments": (
        [frame(1, MEGABYTE, final=False), *[frame(0, MEGABYTE, final=False)] * 40],
        {4400, 1009, "cut"},
    ),
    "compressed without leave": ([frame(1, zlib.compress(MEGABYTE), rsv=0x40)], {1002, "cut"}),
    "not UTF-8": ([frame(1, b"\xff\xfe")], {1007, "cut"}),
    "an unknown opcode": ([frame(3, b"x")], {1002, "cut"}),
    "a continuation of nothing": ([frame(0, b"x")], {1002, "cut"}),
    "a ping that is too long": ([frame(9, b"x" * 200)], {1002, "cut"}),
}


@pytest.mark.parametrize("kind", BAD_BYTES)
async def test_h07_malformed_bytes_close_only_the_socket_that_sent_them(site, job_id, kind):
    frames, codes = BAD_BYTES[kind]
    async with listening([neighbour := SocketPage(site.base_url, job_id, ticket_for(job_id))]):
        before = memory(site.server)
        raw, _answer = await asyncio.to_thread(shake_hands, site)
        assert await asyncio.to_thread(code_after, raw, *frames) in codes
        assert memory(site.server) - before < 30e6
        site.shell.end([job_id])
        assert await lost([neighbour], 3) == []
    assert not any("Traceback" in line for line in site.printed)


def test_h07_compression_is_not_agreed_to_so_a_bomb_cannot_be_sent(site):
    raw, answer = shake_hands(site, b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    raw.close()
    assert b"deflate" not in answer


def open_socket(site, **options):
    address = site.base_url.replace("http", "ws", 1) + "/ws/jobs/"
    return connect(
        address, origin=site.base_url, proxy=None, ping_interval=None, close_timeout=1, **options
    )


async def test_h08_a_thousand_sockets_of_one_session_take_bounded_memory(site, job_id):
    headers = {"Cookie": f"sessionid={site.shell.session('bob')}"}
    async with listening([neighbour := SocketPage(site.base_url, job_id, ticket_for(job_id))]):
        before = memory(site.server)
        crowd = []
        try:
            for _ in range(20):
                crowd += await asyncio.gather(
                    *(open_socket(site, additional_headers=headers) for _ in range(50))
                )
            grown = memory(site.server) - before
            say(f"H8: 1,000 sockets take {grown / 1e6:.0f} MB")
            assert grown < 150e6
            site.shell.end([job_id])
            assert (
                await lost([neighbour], 10) == []
            )  # this process may have answered its ping late, and reconnects
        finally:
            await asyncio.gather(*(socket.close() for socket in crowd), return_exceptions=True)


async def test_h08_a_client_that_never_reads_is_cut_off_and_frees_memory(site, job_id):
    asking = json.dumps({"action": "subscribe", "job": job_id, "ticket": ticket_for(job_id)})
    before = memory(site.server)
    async with open_socket(site) as deaf:
        deaf.transport.pause_reading()
        for _ in range(20):
            try:
                await deaf.send(asking)
            except ConnectionClosed:
                break
        await eventually(lambda: any("WSDISCONNECT" in line for line in site.printed), 20)
    assert memory(site.server) - before < 20e6
