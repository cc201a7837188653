"""Clocks that jump, or that differ from one machine to the next (FAULTS.md F32)."""

import asyncio
import time
from contextlib import contextmanager

import pytest

from tests.system.harness.clocks import HOUR, Clock, TimedServer
from tests.system.harness.site import Site
from tests.system.harness.socket_page import SocketPage, listening, lost
from tests.system.harness.tickets import ticket_for
from tests.system.harness.waiting import eventually

LIMITS = {"RECONCILE_SECONDS": 1, "HEARTBEAT": 0.5, "LOST_AFTER": 2}  # seconds
LONG = LIMITS["LOST_AFTER"] + 1.5  # seconds; a process with a wrong clock has acted by then


class TimedSite(Site):
    """A site of three machines, each with a clock of its own; the shell have the right one."""

    def __init__(self, prepared, folder):
        super().__init__(prepared, worker=True, **LIMITS)
        self.clocks = {name: Clock(folder / name) for name in ("server", "worker", "redis")}
        self.redis = TimedServer(self.clocks["redis"], on_exit=self.exits.put)

    def start_worker(self):
        with self.on_the("worker"):
            super().start_worker()

    def start_server(self):
        with self.on_the("server"):
            super().start_server()

    @contextmanager
    def on_the(self, machine):
        """Start on this machine what is started in the block."""
        usual, self.extra_env = self.extra_env, self.extra_env | self.clocks[machine].env
        try:
            yield
        finally:
            self.extra_env = usual

    def set_clocks(self, **seconds):
        """Set how many seconds each clock is wrong; clocks that are not named are right."""
        for name, clock in self.clocks.items():
            clock.set(seconds.get(name, 0))


@pytest.fixture(scope="module")
def timed(prepared_database, tmp_path_factory):
    with TimedSite(prepared_database, tmp_path_factory.mktemp("clocks")) as site:
        yield site


@pytest.fixture
def site(timed):
    """Return a site whose clocks are right at the start of each test."""
    timed.set_clocks()
    return timed


def look(ann, job_id):
    return ann.get(f"/jobs/{job_id}/").json()["job"]


JUMPS = {
    "two machines differ by 30 s": [{"server": 15, "worker": -15}],
    "both jump by an hour, apart, forth and back": [
        {"server": -HOUR, "worker": HOUR},
        {"server": HOUR, "worker": -HOUR},
    ],
}


@pytest.mark.parametrize("jumps", JUMPS.values(), ids=JUMPS)
async def test_f32_no_clock_of_a_server_or_worker_ends_a_job(site, ann, tmp_path, jumps):
    gate = tmp_path / "gate"
    (running,) = site.shell.start_task("wait_for_file", path=str(gate))
    (waiting,) = site.shell.create(start=False)
    async with listening([page := SocketPage(site.base_url, running, ticket_for(running))]):
        await eventually(lambda: "progress" in page.events)
        for jump in jumps:
            site.set_clocks(**jump)
            await asyncio.sleep(LONG)
            assert [look(ann, job_id)["state"] for job_id in (running, waiting)] == [
                "running",
                "pending",
            ]
        gate.write_text("open")
        assert await lost([page], 5) == []
    assert {"lost", "expired"}.isdisjoint(page.events) and page.events[-1] == "ready"
    assert page.connections == 1
    job = look(ann, running)
    assert job["created_at"] <= job["started_at"] <= job["ended_at"]  # all by the clock of Redis


@pytest.mark.parametrize("hours", [1, -1])
async def test_f32_a_running_job_ends_well_though_redis_s_own_clock_jumps(
    site, ann, tmp_path, hours
):
    gate = tmp_path / "gate"
    (running,) = site.shell.start_task("wait_for_file", path=str(gate))
    await eventually(lambda: look(ann, running)["progress"]["current"])
    versions = [look(ann, running)["version"]]
    site.set_clocks(redis=hours * HOUR)
    await eventually(lambda: abs(site.client.time()[0] - time.time()) > HOUR / 2)
    await asyncio.sleep(LONG)
    versions.append(look(ann, running)["version"])
    gate.write_text("open")
    await eventually(lambda: look(ann, running)["state"] == "complete")
    versions.append(look(ann, running)["version"])
    assert versions == sorted(set(versions))
    assert site.shell.found(running)["data"]["said"] == "open"
