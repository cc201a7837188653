"""Sentinels make a replica the master in the middle of everything (FAULTS.md F7)."""

import asyncio
import json
import os
import signal
from contextlib import contextmanager

import pytest

from tests.system.harness.printing import say
from tests.system.harness.sentinels import Sentinels
from tests.system.harness.site import Site
from tests.system.harness.socket_page import listening, lost, page_of
from tests.system.harness.stack import paused
from tests.system.harness.waiting import eventually

LIMITS = {
    "RECONCILE_SECONDS": 2,
    "HEARTBEAT": 1,
    "LOST_AFTER": 15,
}  # seconds; the last is above what a failover takes
PUSHED = 0.5  # seconds; well below RECONCILE_SECONDS


class SentinelSite(Site):
    """A site whose jobs, messages and layer are wherever the sentinels say."""

    def __init__(self, prepared, sentinels):
        super().__init__(prepared, worker=True, **LIMITS)
        self.redis, self.redis_url = None, sentinels.url
        self.extra_env |= {
            "LAYER_HOST": json.dumps(sentinels.layer_host),
            "CELERY_BROKER_URL": sentinels.broker_url,
            "BROKER_OPTIONS": json.dumps({"master_name": sentinels.service}),
        }

    def start_redis(self):
        """The sentinels run already."""


@pytest.fixture
def sentinels():
    with Sentinels() as sentinels:
        yield sentinels


@pytest.fixture
def site(prepared_database, sentinels):
    with SentinelSite(prepared_database, sentinels) as site:
        yield site


@contextmanager
def killed(sentinels):
    """Kill the master for good."""
    os.kill(sentinels.master.child.pid, signal.SIGKILL)
    yield


@contextmanager
def frozen(sentinels):
    """Let the master hang with its connections open; it comes back as a replica."""
    with paused(sentinels.master.child):
        yield


@contextmanager
def asked(sentinels):
    """Have the sentinels do it while all is well, as before a machine is maintained."""
    sentinels.ask("FAILOVER")
    yield


@pytest.mark.parametrize("failover", [killed, frozen, asked])
async def test_f07_a_failover_by_sentinels_loses_no_acknowledged_write(
    site, sentinels, tmp_path, failover
):
    gate, first = tmp_path / "gate", sentinels.master
    assert site.shell.standby() == [sentinels.service, f"127.0.0.1:{first.port}", 1]
    tasks = site.shell.start_task("wait_for_file", number=2, path=str(gate))
    before, after = site.shell.create(20), site.shell.create(20)
    async with listening([page_of(site, job_id) for job_id in tasks + before + after]) as pages:
        await eventually(lambda: all("progress" in page.events for page in pages[:2]))
        with sentinels.client(0) as master:
            site.shell.end(before[:10])
            assert master.wait(1, 2000) == 1  # what follows is acknowledged by the replica too
        with failover(sentinels):
            gate.write_text("open")  # the tasks end while there is no master
            await asyncio.to_thread(site.shell.try_to_end, before[10:])
            await eventually(lambda: sentinels.master is not first, 20)
            await asyncio.to_thread(site.shell.await_store, 10)
            await asyncio.to_thread(
                site.shell.beat, after
            )  # as a worker of theirs would, or they may be lost
            await asyncio.to_thread(site.shell.retry_to_end, before[10:])
            assert await lost(pages[:-20], 20) == []
        await eventually(lambda: has_listeners(sentinels), 20)
        await asyncio.to_thread(site.shell.end, after, every=0.02)
        assert await lost(pages, LIMITS["RECONCILE_SECONDS"] + 5) == []
        assert (
            sum(page.delay < PUSHED for page in pages[-20:]) > 10
        )  # by push: the hub has found the new master
        assert {site.shell.found(job_id)["state"] for job_id in tasks + before + after} == {
            "complete"
        }
        assert [site.shell.found(job_id)["data"]["said"] for job_id in tasks] == ["open"] * 2
    (new,) = await asyncio.to_thread(site.shell.start_task, "wait_for_file", path=str(gate))
    async with listening([page := page_of(site, new)]):
        assert await lost([page], 20) == []
    say(
        f"F7 {failover.__name__}: the tasks' pages were ready "
        f"{max(page.delay for page in pages[:2]):.1f} s after"
    )


def has_listeners(sentinels):
    """Whether a hub has joined the groups on the master."""
    number = sentinels.servers.index(sentinels.master)
    with sentinels.client(number) as master:
        return any(b"__group__jobs" in channel for channel in master.pubsub_channels())
