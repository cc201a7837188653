"""What becomes of jobs and pages when Redis or the archive fails (FAULTS.md F4, F6, F7)."""

import asyncio
import time
from contextlib import contextmanager

import httpx
import pytest
import redis

from project.demo.embedded import EmbeddedServer
from tests.system.harness.printing import say
from tests.system.harness.site import Site, claim, hash_of
from tests.system.harness.socket_page import listening, lost, page_of
from tests.system.harness.stack import paused
from tests.system.harness.usage import threads
from tests.system.harness.waiting import eventually

LIMITS = {"RECONCILE_SECONDS": 2, "HEARTBEAT": 1, "LOST_AFTER": 6}  # seconds
ANSWERED_WITHIN = 6.0  # seconds that a page may take while Redis hangs


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site with a worker, that all tests here leave as they found it."""
    with Site(prepared_database, worker=True, **LIMITS) as site:
        yield site


async def ask_for_all(ann, ids, seconds=30.0):
    """Ask for many jobs at once as JSON; return the status codes, and the slowest time."""
    async with httpx.AsyncClient(
        base_url=ann.base_url,
        cookies=ann.cookies,
        headers=ann.headers,
        trust_env=False,
        timeout=seconds,
    ) as client:
        started = time.monotonic()
        answers = await asyncio.gather(*(client.get(f"/jobs/{job_id}/") for job_id in ids))
        return {answer.status_code for answer in answers}, time.monotonic() - started


async def test_f04_jobs_run_on_and_pages_are_ready_when_redis_restarts_empty(site, ann, tmp_path):
    gate = tmp_path / "gate"
    ids = site.shell.start_task("wait_for_file", number=2, path=str(gate))
    statuses = set()
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        await eventually(lambda: all("progress" in page.events for page in pages))
        await asyncio.to_thread(site.restart_redis)
        restarted = time.monotonic()
        while not all(hash_of(site, job_id) for job_id in ids):
            assert time.monotonic() - restarted < 10
            statuses.add(ann.get(f"/jobs/{ids[0]}/").status_code)
            await asyncio.sleep(0.05)
        gate.write_text("open")
        assert await lost(pages, 15) == []
    assert 500 not in statuses
    assert [(page.events[-1], page.events.count("ready")) for page in pages] == [("ready", 1)] * 2
    assert not any(frame["event"] == "error" for page in pages for frame in page.said)
    assert site.shell.found(ids[0])["data"]["said"] == "open"


async def test_f04_what_was_restored_is_in_its_owners_list_again(site, ann):
    (job_id,) = site.shell.create(tags=["class:1"])
    site.restart_redis()
    site.shell.restored([job_id])
    assert job_id in [job["id"] for job in ann.get("/jobs/").json()["jobs"]]
    assert site.client.zscore("jobs:index:tag:class:1", job_id)


async def test_f04_a_restored_job_is_newer_than_what_any_page_has_seen(site):
    (job_id,) = site.shell.create()
    async with listening([page := page_of(site, job_id)]):
        await eventually(lambda: page.version)
        before = page.version
        site.restart_redis()
        site.shell.restored([job_id])
        assert int(hash_of(site, job_id)[b"version"]) > before
        site.shell.end([job_id])
        assert await lost([page], 15) == []


@contextmanager
def read_only(site):
    """Make Redis a replica of nobody, which takes no writes."""
    site.client.replicaof("127.0.0.1", 1)
    yield
    site.client.replicaof("NO", "ONE")


@contextmanager
def out_of_memory(site):
    """Leave Redis no memory to write into."""
    site.client.config_set("maxmemory", 1)
    yield
    site.client.config_set("maxmemory", 0)


@contextmanager
def pausing(site):
    """Have Redis answer nobody for some seconds."""
    site.client.client_pause(int(1000 * (ANSWERED_WITHIN + 2)))
    yield
    redis.Redis.from_url(site.redis.url, socket_timeout=15).ping()


@contextmanager
def stopped(site):
    """Freeze the process."""
    with paused(site.redis.child):
        yield


@pytest.mark.parametrize("trouble", [read_only, out_of_memory, pausing, stopped])
async def test_f06_redis_in_trouble_costs_a_few_seconds_and_recovers_without_a_restart(
    site, ann, trouble
):
    ids = site.shell.create(40)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        before = threads(site.server)
        with trouble(site):
            statuses, seconds = await ask_for_all(ann, ids)
            ending = asyncio.create_task(asyncio.to_thread(site.shell.try_to_end, ids[:2]))
            late = page_of(site, ids[0])
            asking = asyncio.create_task(late.run())
            await eventually(lambda: late.said or late.close_code, ANSWERED_WITHIN)
            assert await asyncio.wait_for(ending, 2 * ANSWERED_WITHIN) <= ANSWERED_WITHIN
        assert statuses <= {202, 503}
        assert seconds < ANSWERED_WITHIN
        await asyncio.to_thread(site.shell.end, ids[2:])
        await asyncio.to_thread(site.shell.retry_to_end, ids[:2])
        assert await lost([*pages, late], 10) == []
        await asking
    await eventually(lambda: threads(site.server) <= before + 10, 15)
    say(f"F6 {trouble.__name__}: pages after {seconds:.1f} s, {statuses}")


async def test_f06_a_claim_while_redis_hangs_goes_by_the_archive(site, ann):
    (job_id,) = site.shell.create()
    site.shell.end([job_id])
    ann.get(f"/jobs/{job_id}/", headers={"Accept": "text/html"})
    with paused(site.redis.child):
        started = time.monotonic()
        answer = ann.post(
            f"/jobs/{job_id}/ready/", headers={"X-CSRFToken": ann.cookies["csrftoken"]}
        )
        seconds = time.monotonic() - started
    assert answer.json() == {"url": f"/done/{job_id}/"}
    assert seconds < 2 * ANSWERED_WITHIN
    assert claim(ann, job_id).json() == {"url": f"/done/{job_id}/"}
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


async def test_f07_a_replica_takes_over_behind_the_same_address_and_nothing_is_lost(
    prepared_database,
):
    """A proxy in front that moves on to a replica; Sentinel has a file of its own."""
    with Site(prepared_database, proxied=True, **LIMITS) as site, EmbeddedServer() as replica:
        successor = redis.Redis.from_url(replica.url)
        successor.replicaof("127.0.0.1", site.redis.port)
        with site.through_the_proxy():
            ids = site.shell.create(40)
        async with listening([page_of(site, job_id) for job_id in ids]) as pages:
            site.shell.end(ids[:10])
            await eventually(lambda: successor.info("replication")["master_link_status"] == "up")
            assert site.client.wait(1, 2000) == 1
            site.redis.stop()
            successor.replicaof("NO", "ONE")
            site.proxy.target_port = replica.port
            site.proxy.cut()
            await asyncio.to_thread(site.shell.end, ids[10:])
            assert await lost(pages, 20) == []
        assert {site.shell.found(job_id)["state"] for job_id in ids} == {"complete"}
