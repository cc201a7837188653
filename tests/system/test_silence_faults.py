"""Nothing passes for a while: nobody speaks, or the link is half-open (F31, F36, F42)."""

import asyncio
import json
import time

import pytest
import pytest_asyncio

from tests.system.harness.printing import say
from tests.system.harness.site import Site
from tests.system.harness.socket_page import listening, lost, page_of
from tests.system.harness.usage import cpu_seconds

from .halfopen import CUT_SECONDS, SILENCES, WRITTEN_WITHIN, be_cut_off, be_silent

RECONCILE = 3.0  # seconds; RECONCILE_SECONDS here
QUIET = (
    25  # seconds, longer than daphne's pings, cut to a seventh; losses.py is quiet for a minute
)
DEAF = 25  # seconds; longer than the hub needs to notice it


def heard_ready_once(page):
    versions = [frame["job"]["version"] for frame in page.frames]
    return page.events.count("ready") == 1 and versions == sorted(set(versions))


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site whose sockets are asked for a sign of life more often than usual."""
    site = Site(prepared_database, RECONCILE_SECONDS=RECONCILE)
    site.server_options = ["--ping-interval", "3", "--ping-timeout", "5"]
    with site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def quiet(site):
    """Return pages about whose jobs nothing is said from this module's first test on, and when."""
    ids = site.shell.create(2)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        yield pages, time.monotonic()


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def deaf(prepared_database):
    """Return pages on a server whose link to Redis is silent from this module's first test on."""
    with Site(prepared_database, proxied=True, RECONCILE_SECONDS=RECONCILE) as site:
        ids = site.shell.create(100)
        async with listening([page_of(site, job_id) for job_id in ids]) as pages:
            site.proxy.silence()
            yield site, pages, time.monotonic(), cpu_seconds(site.server)


async def test_f31_after_a_long_quiet_ready_is_heard(site, quiet):
    pages, since = quiet
    await asyncio.sleep(QUIET - (time.monotonic() - since))
    await asyncio.to_thread(site.shell.end, [page.job_id for page in pages])
    assert await lost(pages, 1) == []
    assert [page.connections for page in pages] == [1, 1]


async def test_f36_a_half_open_link_to_redis_heals_by_itself_at_low_cost(deaf):
    site, pages, since, used = deaf
    await asyncio.sleep(DEAF - (time.monotonic() - since))
    site.shell.end([page.job_id for page in pages[:50]])
    silent_for, used = time.monotonic() - since, cpu_seconds(site.server) - used
    site.proxy.speak()
    site.shell.end([page.job_id for page in pages[50:]])
    started = time.monotonic()
    assert await lost(pages, 20) == []
    healed = time.monotonic() - started
    say(
        f"F36: silent for {silent_for:.0f} s, {used / silent_for:.1%} of a core; "
        f"healed in {healed:.1f} s"
    )
    assert used / silent_for < 0.2
    assert all(map(heard_ready_once, pages))


@pytest.mark.timeout(max(SILENCES) + 180)
@pytest.mark.parametrize("seconds", SILENCES)
async def test_f36_a_server_whose_packets_to_redis_are_dropped_heals_by_itself(silences, seconds):
    """Where packets cannot be dropped (no namespaces, no iptables), proxies swallow them."""
    found = json.loads(await asyncio.to_thread(silences.line_about, be_silent, seconds))
    say(f"F36: {found}")
    assert found["lost"] == 0
    assert found["healed"] < 20
    assert found["cpu"] < 0.2
    assert (
        found["pushed"] > 0.5
    )  # afterwards pages are told by pushes again, not only by reconciliation


@pytest.mark.timeout(max(SILENCES) + 180)
async def test_f42_a_worker_whose_packets_to_the_store_are_dropped_loses_no_outcome(silences):
    found = json.loads(await asyncio.to_thread(silences.line_about, be_cut_off, CUT_SECONDS))
    say(f"F42: {found}")
    assert found["lost"] == 0
    assert found["archived"] < 10
    assert found["was_running"]  # nobody else has written it
    assert found["stored"] < WRITTEN_WITHIN
