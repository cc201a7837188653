"""What the archive decides when Redis lost a job, was set back, or knows more (F5, F35, F41)."""

import asyncio
import json
import sqlite3
from contextlib import closing

import httpx
import pytest

from tests.system.harness.site import Site, claim, hash_of
from tests.system.harness.socket_page import listening, lost, page_of
from tests.system.harness.tickets import ticket_for
from tests.system.harness.waiting import eventually

LIMITS = {"RECONCILE_SECONDS": 2, "HEARTBEAT": 1, "LOST_AFTER": 6}  # seconds


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site that all tests here leave as they found it."""
    with Site(prepared_database, **LIMITS) as site:
        yield site


async def test_f05_an_ended_job_outlives_a_flush_before_its_hook_has_run(site, ann):
    (job_id,) = site.shell.create(next="/there/")
    site.shell.set_data(job_id, "was_it_nice", "yes_it_was")
    site.shell.end([job_id])
    site.client.flushall()
    assert ann.get(f"/jobs/{job_id}/").json()["event"] == "ready"
    assert site.shell.found(job_id)["data"] == {"next": "/there/", "was_it_nice": "yes_it_was"}
    async with listening([page := page_of(site, job_id)]):
        assert await lost([page], 2) == []
    assert [claim(ann, job_id).json() for _ in range(2)] == [{"url": "/there/"}] * 2
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


async def test_f05_a_flush_after_the_hook_does_not_run_it_again(site, ann):
    (job_id,) = site.shell.create(next="/there/")
    site.shell.end([job_id])
    assert claim(ann, job_id).json() == {"url": "/there/"}
    site.client.flushall()
    assert claim(ann, job_id).json() == {"url": "/there/"}
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


async def test_f35_with_a_locked_archive_an_end_is_announced_first_and_archived_later(site, ann):
    ids = site.shell.create(2)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        with closing(sqlite3.connect(site.database, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            ending = asyncio.create_task(asyncio.to_thread(site.shell.seconds_to_end, ids))
            assert await lost(pages[:1], 1) == []
            assert await asyncio.wait_for(ending, 20) < 8  # for two, one after the other
            assert await lost(pages, 1) == []
            assert site.shell.archived(ids[0]) is None
            holder.execute("ROLLBACK")
    await eventually(
        lambda: site.shell.archived(ids[0]) == site.shell.archived(ids[1]) == "complete", 25
    )


async def test_f35_who_claims_a_job_that_was_not_archived_archives_it(site, ann):
    (job_id,) = site.shell.create()
    site.shell.end_unarchived(job_id)
    assert site.shell.archived(job_id) is None
    assert claim(ann, job_id).json() == {"url": f"/done/{job_id}/"}
    assert site.shell.archived(job_id) == "complete"
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


def restore_backup(site, job_id, backup):
    """Put a job back as it was when the backup was made."""
    key = f"jobs:{{{job_id}}}"
    site.client.delete(key)
    site.client.hset(key, mapping=backup)


async def test_f41_the_archive_decides_when_redis_is_restored_from_an_old_backup(site, ann):
    (job_id,) = site.shell.create()
    backup = hash_of(site, job_id)
    async with listening([page := page_of(site, job_id)]):
        site.shell.end([job_id])
        assert await lost([page], 3) == []
        restore_backup(site, job_id, backup)
        assert ann.get(f"/jobs/{job_id}/").json()["event"] == "ready"
        assert claim(ann, job_id).json() == {"url": f"/done/{job_id}/"}
        restore_backup(site, job_id, backup)
        assert claim(ann, job_id).json() == {"url": f"/done/{job_id}/"}
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


async def test_f41_an_open_page_never_goes_back_and_a_new_one_is_ready(site):
    (job_id,) = site.shell.create()
    backup = hash_of(site, job_id)
    async with site.socket(httpx.Client(), "/ws/jobs/") as socket:
        await socket.send(
            json.dumps({"action": "subscribe", "job": job_id, "ticket": ticket_for(job_id)})
        )
        events = [json.loads(await asyncio.wait_for(socket.recv(), 5))["event"] for _ in range(2)]
        site.shell.end([job_id])
        events.append(json.loads(await asyncio.wait_for(socket.recv(), 5))["event"])
        restore_backup(site, job_id, backup)
        with pytest.raises(TimeoutError):  # two readings later there is nothing new to be said
            await asyncio.wait_for(socket.recv(), 2 * LIMITS["RECONCILE_SECONDS"] + 0.5)
    assert events == ["subscribed", "started", "ready"]
    async with listening([page := page_of(site, job_id)]):
        assert await lost([page], LIMITS["LOST_AFTER"] + 5) == []
    assert page.events[-1] == "ready"


async def test_f41_a_running_job_that_was_set_back_still_ends_well(site):
    ids = site.shell.create(2, start=False)
    backup = [hash_of(site, job_id) for job_id in ids]
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        for job_id in ids:
            site.shell.call(job_id, "start")
        await eventually(lambda: all("started" in page.events for page in pages))
        for job_id, old in zip(ids, backup, strict=True):
            restore_backup(site, job_id, old)
        site.client.delete(f"jobs:{{{ids[1]}}}")  # evicted
        site.shell.call(ids[0], "set_progress", 1, 2)
        site.shell.end(ids)
        assert await lost(pages, 5) == []
    for page in pages:
        versions = [
            frame["job"]["version"] for frame in page.said if isinstance(frame.get("job"), dict)
        ]
        assert versions == sorted(versions)
        assert page.events[-1] == "ready"
