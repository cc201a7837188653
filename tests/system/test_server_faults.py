"""What pages go through when the server or its network goes and comes back (F8, F9, F31, F37)."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import pytest
from playwright.async_api import expect

from tests.system.harness.printing import say
from tests.system.harness.proxy import Proxy
from tests.system.harness.site import Site
from tests.system.harness.socket_page import SocketPage, listening, lost, page_of
from tests.system.harness.tickets import ticket_for
from tests.system.harness.usage import threads
from tests.system.harness.waiting import eventually

RECONCILE = 3.0  # seconds; RECONCILE_SECONDS here
LIFE = 3  # seconds that daphne lets a socket live, instead of a day
HOUR = 3600


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site whose server is restarted again and again."""
    with Site(prepared_database, RECONCILE_SECONDS=RECONCILE) as site:
        yield site


def never_went_back(page):
    versions = [frame["job"]["version"] for frame in page.frames]
    return versions == sorted(set(versions)) and page.events.count("ready") == 1


@pytest.mark.parametrize("grace", [0, 5], ids=["killed", "ended by SIGTERM"])
async def test_f08_every_page_is_ready_after_the_server_was_restarted(site, grace):
    ids = site.shell.create(200)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        await asyncio.to_thread(site.server.stop, grace)
        await asyncio.to_thread(site.shell.end, ids[:100])
        await asyncio.to_thread(site.start_server)
        await asyncio.to_thread(site.await_server)
        await asyncio.to_thread(site.shell.end, ids[100:])
        started = time.monotonic()
        assert await lost(pages, 20) == []
    say(
        "F8: the last of 200 pages was ready "
        f"{max(page.ready_at for page in pages) - started:.1f} s after the restart"
    )
    assert all(map(never_went_back, pages))


async def test_f08_a_second_server_takes_over_while_the_first_goes(site):
    ids = site.shell.create(50)
    with Proxy(site.port) as front:
        address = f"http://127.0.0.1:{front.port}"
        async with listening(
            [SocketPage(address, job_id, ticket_for(job_id)) for job_id in ids]
        ) as pages:
            old = site.server
            site.server, site.port = None, 0
            await asyncio.to_thread(site.start_server)
            await asyncio.to_thread(site.await_server)
            front.target_port = site.port
            await asyncio.to_thread(site.shell.end, ids[:25])
            await asyncio.to_thread(old.stop, 5)
            await asyncio.to_thread(site.shell.end, ids[25:])
            assert await lost(pages, 10) == []
    assert all(map(never_went_back, pages))


@asynccontextmanager
async def chromium_page(browser, address, session):
    """Open a browser context of Ann's; its clock is the test's."""
    context = await browser.new_context(base_url=address)
    await context.add_cookies([{"name": "sessionid", "value": session, "url": address}])
    page = await context.new_page()
    try:
        yield page
    finally:
        await context.close()


async def open_and_connect(page, job_id):
    await page.goto(f"/jobs/{job_id}/")
    await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "socket")


async def test_f08_a_page_says_that_it_reconnects_and_goes_on_by_itself(site, browser):
    (job_id,) = site.shell.create(next="/jobs/")
    with Proxy(site.port) as front:
        async with chromium_page(
            browser, f"http://127.0.0.1:{front.port}", site.shell.session("ann")
        ) as page:
            await open_and_connect(page, job_id)
            front.is_bad_gateway = True
            front.cut()
            await expect(page.get_by_text("Reconnecting")).to_be_visible(timeout=10_000)
            site.shell.end([job_id])
            front.is_bad_gateway = False
            await page.wait_for_url("**/jobs/", timeout=20_000)
            await expect(page.get_by_text(f"ready: {job_id}")).to_be_visible()
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


async def run_until_sent_on(page, seconds=20):
    """Let the page's time pass in steps of a second until the browser is where the job leads."""
    give_up = time.monotonic() + seconds
    while not page.url.endswith("/jobs/"):
        assert time.monotonic() < give_up
        await page.clock.run_for(1_000)


async def test_f09_a_silent_network_is_noticed_by_the_page_s_own_heartbeat(site, browser):
    (job_id,) = site.shell.create(next="/jobs/")
    with Proxy(site.port) as front:
        async with chromium_page(
            browser, f"http://127.0.0.1:{front.port}", site.shell.session("ann")
        ) as page:
            await page.clock.install()
            await open_and_connect(page, job_id)
            front.silence()
            site.shell.end([job_id])
            await page.clock.run_for(20_000)
            await page.clock.run_for(10_500)
            await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "")
            # the old connections stay dead, also the one by which the browser would post
            front.speak()
            await run_until_sent_on(page)
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


async def test_f09_a_laptop_that_slept_for_an_hour_reads_the_state_once(site, browser):
    (job_id,) = site.shell.create(next="/jobs/")
    with Proxy(site.port) as front:
        async with chromium_page(
            browser, f"http://127.0.0.1:{front.port}", site.shell.session("ann")
        ) as page:
            sockets = []
            page.on("websocket", lambda socket: sockets.append(socket.url))
            await page.clock.install()
            await open_and_connect(page, job_id)
            front.silence()
            site.shell.end([job_id])
            front.speak()
            front.cut()
            await page.clock.fast_forward(HOUR * 1000)
            await run_until_sent_on(page)
    assert 2 <= len(sockets) <= 4
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


async def test_f31_a_socket_that_reached_its_age_limit_is_reopened_and_hears_ready(site):
    ids = site.shell.create(20)
    site.server_options = ["--websocket_timeout", str(LIFE)]
    await asyncio.to_thread(site.restart_server)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        await eventually(
            lambda: all(page.connections == 2 and page.is_listening.is_set() for page in pages),
            LIFE + 10,
        )
        await asyncio.to_thread(site.shell.end, ids)
        assert await lost(pages, 5) == []
    site.server_options = []
    assert all(map(never_went_back, pages))


async def ask(client, job_id):
    started = time.monotonic()
    answer = await client.get(f"/jobs/{job_id}/", headers={"Accept": "application/json"})
    return answer.status_code, time.monotonic() - started


async def test_f37_six_hundred_sockets_and_four_hundred_polls_with_a_slow_database(site):
    ids = await asyncio.to_thread(site.shell.create, 600)
    session = site.shell.session("ann")
    site.extra_env["SLOW_DATABASE"] = "0.5"
    await asyncio.to_thread(site.restart_server)
    started = time.monotonic()
    async with listening([page_of(site, job_id) for job_id in ids], 30) as pages:
        say(f"F37: 600 sockets listen after {time.monotonic() - started:.1f} s")
        assert all(page.connections == 1 for page in pages)
        limits = httpx.Limits(max_connections=None)
        options = {
            "base_url": site.base_url,
            "cookies": {"sessionid": session},
            "trust_env": False,
        }
        async with httpx.AsyncClient(timeout=60, limits=limits, **options) as client:
            polling = asyncio.gather(*(ask(client, job_id) for job_id in ids[:400]))
            most = 0
            while not polling.done():
                most = max(most, threads(site.server))
                await asyncio.sleep(0.05)
            answers = polling.result()
        say(
            f"F37: 400 polls took at most {max(took for _, took in answers):.1f} s, "
            f"with {most} threads"
        )
        await asyncio.to_thread(site.shell.end, ids)
        assert await lost(pages, 20) == []
    assert {status for status, _ in answers} == {202}
    assert not any("Traceback" in line for line in site.printed)
