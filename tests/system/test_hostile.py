"""Hostile input that needs a real server: raw headers, and who has logged out (H5, H16)."""

import asyncio
import socket as sockets

import httpx
import pytest

from tests.system.harness.site import Site
from tests.system.harness.socket_page import SocketPage, listening
from tests.system.harness.tickets import ticket_for
from tests.system.harness.waiting import eventually

TICKET_AGE = 2  # seconds
RECONCILE = 1.0  # seconds


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site that the tests here leave as they found it, with short pings and timeouts."""
    site = Site(prepared_database, RECONCILE_SECONDS=RECONCILE, TICKET_AGE=TICKET_AGE)
    site.server_options = ["--ping-interval", "1", "--ping-timeout", "3"]
    with site:
        yield site


@pytest.fixture
def job_id(site):
    """Return a running job of Ann's."""
    return site.shell.create()[0]


async def closed_with(page, seconds=10.0):
    """Wait until the server has closed the socket for good, or refused every subscription."""
    told = await eventually(
        lambda: page.close_code or [f for f in page.said if f["event"] == "error"], seconds
    )
    return told if isinstance(told, int) else told[-1]["code"]


def page_of(site, session, job_id):
    return SocketPage(site.base_url, job_id, session=session)


# H5: people


async def test_h05_logging_out_ends_the_subscriptions_at_once(site):
    site.shell.make_user("leaver")
    session = site.shell.session("", "leaver")
    (job_id,) = site.shell.create(owner=site.shell.owner_of("leaver"))
    async with listening([page := page_of(site, session, job_id)]):
        with httpx.Client(
            base_url=site.base_url, cookies={"sessionid": session}, trust_env=False
        ) as browser:
            browser.get("/accounts/login/", follow_redirects=True)
            browser.get(f"/jobs/{job_id}/")
            browser.post(
                "/accounts/logout/", headers={"X-CSRFToken": browser.cookies["csrftoken"]}
            )
        assert await closed_with(page) in (4401, 4404)
        site.shell.end([job_id])
        await asyncio.sleep(RECONCILE)
        assert not page.is_ready.is_set()


@pytest.mark.parametrize("what", ["deactivate", "change_password"])
async def test_h05_a_deactivated_user_or_a_changed_password_ends_the_subscriptions(site, what):
    site.shell.make_user(what)
    session = site.shell.session("", what)
    (job_id,) = site.shell.create(owner=site.shell.owner_of(what))
    async with listening([page := page_of(site, session, job_id)]):
        site.shell.ask(what, what)
        assert await closed_with(page) in (4401, 4404)


async def test_h05_a_session_that_ended_unheard_is_noticed_within_a_ticket_s_age(site):
    site.shell.make_user("quiet")
    session = site.shell.session("", "quiet")
    (job_id,) = site.shell.create(owner=site.shell.owner_of("quiet"))
    async with listening([page := page_of(site, session, job_id)]):
        site.shell.end_session(session)
        assert await closed_with(page, TICKET_AGE + RECONCILE + 2) == "not_found"
        assert not any(frame["event"] == "ticket" for frame in page.said)


async def test_h05_who_bears_only_a_ticket_hears_no_longer_than_its_age(site, job_id):
    page = SocketPage(site.base_url, job_id, ticket_for(job_id))
    async with listening([page]):
        assert await closed_with(page, TICKET_AGE + RECONCILE + 2) == "not_found"


# H16: headers


def raw_request(site, *lines):
    """Send a request by hand; return status and headers."""
    with sockets.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        raw.sendall(
            b"\r\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
            + b"\r\n\r\n"
        )
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (data := raw.recv(65536)):
                answer += data
        except ConnectionError:
            pass
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    return int(head.split()[1]) if head else 400, head


def test_h16_the_root_path_of_a_client_leads_nobody_elsewhere(site, job_id):
    cookie = f"Cookie: sessionid={site.shell.session('ann')}"
    host = f"Host: 127.0.0.1:{site.port}"
    for prefix in (
        "http://evil.example",
        "//evil.example",
        "/evil.example",
        "javascript:alert(1)//",
        "\\\\evil.example",
    ):
        for path in (f"/jobs/{job_id}/", "/jobs/", "/dashboard/", "/"):
            status, head = raw_request(
                site,
                f"GET {path} HTTP/1.1",
                host,
                cookie,
                f"Daphne-Root-Path: {prefix}",
                "Connection: close",
            )
            assert status < 500
            assert "evil.example" not in head
            assert "javascript:" not in head


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: evil.example"],
        ["Host: {host}", "Host: evil.example"],
        ["Host: evil.example", "Host: {host}"],
        ["Host: {host}", *[f"X-{number}: x" for number in range(600)]],
        [
            "Host: {host}",
            "Cookie: " + "; ".join(f"c{number}={'x' * 50}" for number in range(1100)),
        ],
        ["Host: {host}", "X-HTTP-Method-Override: POST"],
        [
            "Host: {host}",
            "X-Forwarded-Host: evil.example",
            "X-Forwarded-Proto: https",
            "Forwarded: host=evil.example",
        ],
        ["Host: {host}", "X-Original-URL: /admin/", "X-Rewrite-URL: /admin/"],
        ["Host: {host}", "Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Host: {host}", "Accept: " + ",".join(["a/b;q=0.1"] * 500)],
    ],
    ids=range(10),
)
def test_h16_strange_headers_are_refused_or_ignored(site, headers):
    host = f"127.0.0.1:{site.port}"
    status, head = raw_request(
        site,
        "GET /jobs/ HTTP/1.1",
        *(line.format(host=host) for line in headers),
        "Connection: close",
    )
    assert status in (200, 400, 404)
    assert "evil.example" not in head


def test_h16_a_method_override_is_no_post(site, job_id):
    cookie, host = f"Cookie: sessionid={site.shell.session('ann')}", f"Host: 127.0.0.1:{site.port}"
    override = ["X-HTTP-Method-Override: POST", "X-Method-Override: POST", "Connection: close"]
    status, _head = raw_request(
        site, f"GET /jobs/{job_id}/cancel/?_method=POST HTTP/1.1", host, cookie, *override
    )
    assert status == 405
    assert site.shell.found(job_id)["state"] == "running"
