"""What reaches an open page when the way to it fails (FAULTS.md F1, F3, F8, F30, F34)."""

import asyncio
import json
import time

import httpx
import pytest

from tests.system.harness.printing import say
from tests.system.harness.proxy import Proxy
from tests.system.harness.site import Site
from tests.system.harness.socket_page import SocketPage, listening, lost, page_of
from tests.system.harness.tickets import ticket_for
from tests.system.harness.waiting import eventually

RECONCILE = 3.0  # seconds; RECONCILE_SECONDS here


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site that all tests here leave as they found it."""
    site = Site(prepared_database, RECONCILE_SECONDS=RECONCILE)
    site.server_options = ["--ping-interval", "3", "--ping-timeout", "5"]
    with site:
        yield site


@pytest.fixture(scope="module")
def front(site):
    """Return a proxy between the pages and daphne."""
    with Proxy(site.port) as front:
        yield front


def page_behind(front, job_id, **options):
    return SocketPage(f"http://127.0.0.1:{front.port}", job_id, ticket_for(job_id), **options)


async def in_background(action, *args, **kwargs):
    """Have the shell do something while pages go on listening."""
    return await asyncio.to_thread(action, *args, **kwargs)


def heard_ready_once(page):
    """Tell whether the last connection said `ready` once, and no version ever went back."""
    versions = [frame["job"]["version"] for frame in page.frames]
    return page.events.count("ready") == 1 and versions == sorted(set(versions))


async def until_pushed(site, page):
    """Report progress until a push of it arrives: a page that reads its job says `started`."""
    for step in range(100):
        await in_background(site.shell.call, page.job_id, "set_progress", step + 1, 100)
        await asyncio.sleep(0.1)
        if "progress" in page.events:
            return
    raise AssertionError("no push has arrived")


async def test_f01_a_job_that_ended_before_its_page_opened_is_ready_once(site):
    (job_id,) = site.shell.create()
    site.shell.end([job_id])
    async with listening([page := page_of(site, job_id)]):
        assert await lost([page], 1) == []
        await asyncio.sleep(0)
    assert [frame["event"] for frame in page.said] == ["subscribed", "ready"]


async def test_f01_a_job_that_ends_between_page_and_socket_is_ready_at_once(site):
    (job_id,) = site.shell.create()
    cookies = {"sessionid": site.shell.session("ann")}
    with httpx.Client(base_url=site.base_url, cookies=cookies, trust_env=False) as browser:
        assert 'data-state="running"' in browser.get(f"/jobs/{job_id}/").text
    site.shell.end([job_id])
    async with listening([page := page_of(site, job_id)]):
        assert await lost([page], 1) == []
    assert heard_ready_once(page)


async def test_f01_jobs_that_end_while_the_socket_reconnects_are_ready(site, front):
    ids = site.shell.create(20)
    async with listening([page_behind(front, job_id) for job_id in ids]) as pages:
        front.cut()
        await in_background(site.shell.end, ids)
        assert await lost(pages, 5) == []
    assert all(map(heard_ready_once, pages))


async def test_f03_killing_the_layers_connection_loses_nothing(site):
    ids = site.shell.create(100)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        assert site.client.client_kill_filter(_type="pubsub") >= 1
        await in_background(site.shell.end, ids)
        assert await lost(pages, RECONCILE + 2) == []
    assert all(map(heard_ready_once, pages))


async def test_f03_the_hub_hears_again_after_its_connection_was_killed(site):
    ids = site.shell.create(20)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        before = {client["id"] for client in site.client.client_list("pubsub")}
        site.client.client_kill_filter(_type="pubsub")
        await eventually(
            lambda: any(
                int(it["sub"]) > 1 and it["id"] not in before
                for it in site.client.client_list("pubsub")
            )
        )
        await until_pushed(site, pages[0])  # the layer itself pauses for a second before it reads
        await in_background(site.shell.end, ids, every=0.05)
        assert await lost(pages, RECONCILE + 2) == []
    assert sum(page.delay < 0.2 for page in pages) > 10  # by push: between two readings lie 3 s


async def test_f08_a_gateway_that_answers_502_for_a_while_loses_nothing(site, front):
    ids = site.shell.create(50)
    async with listening([page_behind(front, job_id) for job_id in ids]) as pages:
        front.is_bad_gateway = True
        front.cut()
        await in_background(site.shell.end, ids)
        await asyncio.sleep(3)
        front.is_bad_gateway = False
        assert await lost(pages, 8) == []
    assert all(map(heard_ready_once, pages))


async def test_f30_a_thousand_jobs_that_complete_at_once_are_all_heard(site):
    ids = await in_background(site.shell.create, 1000)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        started = time.monotonic()
        await in_background(site.shell.end, ids)
        assert await lost(pages, 20) == []
    say(
        f"F30: all heard {max(page.ready_at for page in pages) - started:.1f} s "
        "after the first began to end"
    )
    assert all(map(heard_ready_once, pages))


async def test_f34_what_a_newer_version_says_is_ignored_by_an_older_server(site):
    (job_id,) = site.shell.create()
    site.client.hset(f"jobs:{{{job_id}}}", mapping={"mood": "new", "data.": "not JSON"})
    async with listening([page := page_of(site, job_id)]):
        site.shell.publish_rubbish(job_id)
        await until_pushed(site, page)
        site.shell.end([job_id])
        assert await lost([page], RECONCILE + 2) == []
    assert heard_ready_once(page)
    assert site.client.hget(f"jobs:{{{job_id}}}", "mood") == b"new"


async def test_f34_an_action_of_a_newer_page_is_an_error_and_no_more(site):
    (job_id,) = site.shell.create()
    async with site.socket(httpx.Client(), "/ws/jobs/") as socket:
        for frame in (
            {"action": "rewind"},
            {"action": "subscribe", "job": job_id, "ticket": ticket_for(job_id), "x": 1},
        ):
            await socket.send(json.dumps(frame))
        events = [json.loads(await asyncio.wait_for(socket.recv(), 5))["event"] for _ in range(3)]
    assert events == ["error", "subscribed", "started"]
