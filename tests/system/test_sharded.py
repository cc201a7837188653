"""A channel layer over two Redis hosts, beside the one with the jobs; and what if one goes."""

import asyncio

import pytest
import redis

from project.demo.embedded import EmbeddedServer
from tests.system.harness.printing import say
from tests.system.harness.site import Site
from tests.system.harness.socket_page import SocketPage, listening, lost
from tests.system.harness.tickets import ticket_for

RECONCILE = 3.0  # seconds; RECONCILE_SECONDS here
PUSHED = 1.0  # seconds within which a push is heard, and which no reconciliation can explain


@pytest.fixture(scope="module")
def hosts():
    """Return two servers for the layer alone."""
    with EmbeddedServer() as first, EmbeddedServer() as second:
        yield first, second


@pytest.fixture(scope="module")
def site(prepared_database, hosts):
    """Return a site whose layer they are."""
    env = {
        "DJANGO_SETTINGS_MODULE": "tests.system.projects.sharded",
        "LAYER_HOSTS": ",".join(host.url for host in hosts),
    }
    with Site(prepared_database, env=env, RECONCILE_SECONDS=RECONCILE) as site:
        yield site


def pages_of(site, ids):
    return [SocketPage(site.base_url, job_id, ticket_for(job_id)) for job_id in ids]


def published(host):
    """Return how many messages have been published on a host."""
    with redis.Redis.from_url(host.url) as client:
        return client.info("commandstats").get("cmdstat_publish", {"calls": 0})["calls"]


async def test_both_hosts_carry_frames_and_each_arrives_by_push(site, hosts):
    ids = await asyncio.to_thread(site.shell.create, 60)
    async with listening(pages_of(site, ids)) as pages:
        await asyncio.to_thread(site.shell.end, ids)
        assert await lost(pages, RECONCILE) == []
    delays = sorted(page.delay for page in pages)
    say(f"{len(pages)} pages were told within {delays[-1] * 1000:.0f} ms, over two hosts")
    assert delays[len(delays) * 9 // 10] < PUSHED
    assert all(published(host) > 10 for host in hosts)


async def test_a_host_that_is_gone_makes_pages_late_and_loses_none(site, hosts):
    ids = await asyncio.to_thread(site.shell.create, 60)
    async with listening(pages_of(site, ids)) as pages:
        hosts[1].stop()
        await asyncio.to_thread(site.shell.end, ids)
        assert await lost(pages, RECONCILE + 12) == []
        hosts[1].start()
    later = await asyncio.to_thread(site.shell.create, 30)
    async with listening(pages_of(site, later)) as pages:
        await asyncio.to_thread(site.shell.end, later)
        assert await lost(pages, RECONCILE + 12) == []
