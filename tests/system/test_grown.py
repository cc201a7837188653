"""Several of everything on one machine, as in docs/grow.md: what open pages go through.

nginx in front of two daphne and one uvicorn processes, two workers, Sentinel, RabbitMQ,
PostgreSQL.
"""

import asyncio
import json
import os
import statistics
import time

import pytest
from playwright.async_api import expect

from tests.system.grown.engines import missing
from tests.system.grown.fleet import Fleet
from tests.system.harness.printing import say
from tests.system.harness.socket_page import SocketPage, listening, lost
from tests.system.harness.stack import paused
from tests.system.harness.waiting import eventually

HEARD_WITHIN = 30  # seconds


@pytest.fixture(scope="module")
def fleet():
    """Return all of it, running; each test leaves it so."""
    if packages := missing():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"Not all engines are here: apt-get install {' '.join(packages)}")
    fleet = Fleet()
    with pytest.MonkeyPatch.context() as patch:
        try:
            started = time.monotonic()
            fleet.start()
            say(f"All of it is up after {time.monotonic() - started:.1f} s")
            patch.setenv("SSL_CERT_FILE", str(fleet.proxy.certificate))
            yield fleet
        finally:
            fleet.stop()


@pytest.fixture(autouse=True)
def show_what_the_fleet_printed(request, fleet):
    """Keep, for the report of a failed test, what the processes printed during it."""
    fleet.printed.clear()
    yield
    request.node.add_report_section("call", "processes", "\n".join(fleet.printed))


def pages_of(fleet, ids):
    session = fleet.shell.session("ann")
    return [SocketPage(fleet.base_url, job_id, session=session) for job_id in ids]


def gone_back(pages):
    """Return what was heard by pages on which a frame was not newer, or which did not end well."""
    heard = [
        [(frame["job"]["version"], frame["event"]) for frame in page.frames] for page in pages
    ]
    return [
        frames
        for frames in heard
        if frames != sorted(dict(frames).items()) or frames[-1][1] != "ready"
    ]


async def do(action, *args, **kwargs):
    return await asyncio.to_thread(action, *args, **kwargs)


class Gate:
    """Tasks that run in the workers until it is opened."""

    def __init__(self, fleet, folder):
        self.fleet = fleet
        self.path = folder / "gate"

    async def start(self, number):
        """Start jobs, and return their ids."""
        return await do(self.fleet.shell.start_task, "wait_for_file", number, path=str(self.path))

    def open(self):
        self.path.write_text("open")


@pytest.fixture
def gate(fleet, tmp_path):
    return Gate(fleet, tmp_path)


def states(fleet, ids):
    return {fleet.shell.found(job_id)["state"] for job_id in ids}


def runners(fleet, ids):
    with fleet.redis.client(6379) as client:
        return {
            json.loads(client.hget(f"jobs:{{{job_id}}}", "runner")).split("@")[0] for job_id in ids
        }


def test_the_doctor_finds_nothing_wrong_from_the_broker_to_the_public_address(fleet):
    lines = fleet.manage("jobs_doctor", "--url", fleet.base_url)
    assert [line.split()[0] for line in lines] == ["ok"] * 10, lines
    assert [line for line in fleet.manage("check", "--deploy") if "jobs." in line] == []


async def test_jobs_of_both_workers_reach_pages_on_all_servers(fleet, gate):
    ids = await gate.start(4)
    async with listening(pages_of(fleet, ids * 6)) as pages:
        await eventually(lambda: states(fleet, ids) == {"running"}, HEARD_WITHIN)
        assert runners(fleet, ids) == {"1", "2"}
        assert [await do(fleet.watches, port) for port in fleet.servers] == [True] * 3
        gate.open()
        assert await lost(pages, HEARD_WITHIN) == []
    assert gone_back(pages) == []


async def test_a_failover_of_redis_in_the_middle_loses_nothing(fleet, gate):
    ids = await do(fleet.shell.create, 90)
    tasks = await gate.start(4)
    await eventually(lambda: states(fleet, tasks) == {"running"}, HEARD_WITHIN)
    async with listening(pages_of(fleet, ids + tasks)) as pages:
        await do(fleet.shell.end, ids[:30])
        killed, died_at = await do(fleet.redis.kill_master), time.monotonic()
        await do(fleet.shell.end, ids[30:60])  # while there is no master
        await eventually(
            lambda: fleet.redis.master_port() != fleet.machine.ports[killed], HEARD_WITHIN
        )
        say(f"Sentinel has another master after {time.monotonic() - died_at:.1f} s")
        await do(fleet.shell.end, ids[60:])
        gate.open()
        assert await lost(pages, HEARD_WITHIN) == []
        say(
            f"the last of {len(pages)} pages is ready "
            f"{max(p.ready_at for p in pages) - died_at:.1f} s after the kill"
        )
    await do(fleet.redis.revive, killed)
    assert gone_back(pages) == []
    assert sum(page.connections for page in pages) == len(pages)  # no socket was closed


async def test_a_person_is_sent_on_through_a_failover_without_a_click(fleet, browser):
    (job_id,) = fleet.shell.create(next="/jobs/")
    context = await browser.new_context(base_url=fleet.base_url, ignore_https_errors=True)
    session = {"name": "sessionid", "value": fleet.shell.session("ann"), "url": fleet.base_url}
    await context.add_cookies([session])
    page = await context.new_page()
    await page.goto(f"/jobs/{job_id}/")
    await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "socket")
    killed = await do(fleet.redis.kill_master)
    await do(fleet.shell.end, [job_id])
    await page.wait_for_url("**/jobs/", timeout=HEARD_WITHIN * 1000)
    while not await page.get_by_text(
        f"ready: {job_id}"
    ).is_visible():  # the claim needs no Redis, the list does
        await page.reload()
    await context.close()
    await do(fleet.redis.revive, killed)
    assert fleet.shell.effects(job_id) == [f"{job_id} ready 1"]


async def test_a_rolling_restart_of_the_servers_loses_nothing_and_spreads_the_reconnects(fleet):
    ids = await do(fleet.shell.create, 150)
    slowest = 0.0  # seconds that a server was away
    async with listening(pages_of(fleet, ids)) as pages:
        for number, port in enumerate(fleet.servers):
            began = time.monotonic()
            assert await do(fleet.restart_server, port)
            await do(fleet.shell.beat, ids[number * 50 :])  # or they are lost on a slow machine
            slowest = max(slowest, time.monotonic() - began)
            await do(fleet.shell.end, ids[number * 50 : number * 50 + 50])
        assert await lost(pages, HEARD_WITHIN) == []
    gaps = [
        back - gone
        for page in pages
        for gone, back in zip(page.closed_at, page.opened_at[1:], strict=False)
    ]
    say(f"{len(gaps)} reconnects, {min(gaps):.2f} to {max(gaps):.2f} s after the close")
    say(
        f"half of them within {statistics.median(gaps):.2f} s, "
        f"spread {statistics.pstdev(gaps):.2f} s"
    )
    assert (
        gaps and max(gaps) < 2 * slowest + 2 and statistics.pstdev(gaps) > 0.05
    )  # delays double, from half a second
    assert gone_back(pages) == []


async def test_a_reload_of_the_proxy_disturbs_no_page(fleet):
    ids = await do(fleet.shell.create, 20)
    async with listening(pages_of(fleet, ids)) as pages:
        await do(fleet.proxy.reload)
        await do(fleet.shell.end, ids)
        assert await lost(pages, HEARD_WITHIN) == []
    assert {page.connections for page in pages} == {1}


async def test_a_rolling_restart_of_the_workers_lets_every_task_finish_once(fleet, gate):
    ids = await gate.start(4)
    await eventually(lambda: states(fleet, ids) == {"running"}, HEARD_WITHIN)
    waiting = await gate.start(4)  # behind them, in the queue
    async with listening(pages_of(fleet, ids + waiting)) as pages:
        stopping = asyncio.gather(*(do(worker.stop) for worker in fleet.workers.values()))
        await eventually(
            lambda: sum("Warm shutdown" in line for line in fleet.printed) == 2, HEARD_WITHIN
        )
        gate.open()
        assert await stopping == [True, True]
        for name, worker in fleet.workers.items():
            worker.start()
            await do(fleet.await_worker, name)
        assert await lost(pages, HEARD_WITHIN) == []
    assert gone_back(pages) == []
    assert {page.frames[-1]["job"]["attempt"] for page in pages} == {1}


async def test_jobs_outlive_a_restart_of_the_broker(fleet, gate):
    running = await gate.start(4)
    await eventually(lambda: states(fleet, running) == {"running"}, HEARD_WITHIN)
    waiting = await gate.start(4)
    async with listening(pages_of(fleet, running + waiting)) as pages:
        await do(fleet.broker.stop)
        started = time.monotonic()
        (refused,) = await gate.start(1)
        say(
            "a job that the broker does not take has failed after "
            f"{time.monotonic() - started:.1f} s"
        )
        assert states(fleet, [refused]) == {"failed"}
        await do(fleet.broker.start)
        await do(fleet.broker.await_start)
        gate.open()
        assert await lost(pages, HEARD_WITHIN) == []
    assert gone_back(pages) == []


async def test_a_broker_that_hangs_holds_no_view_up(fleet, gate):
    gate.open()
    with paused(fleet.broker.child):
        started = time.monotonic()
        (refused,) = await gate.start(1)
        took = time.monotonic() - started
    say(f"a job that a hanging broker does not take has failed after {took:.1f} s")
    assert took < 12 and states(fleet, [refused]) == {"failed"}
    (taken,) = await gate.start(1)
    await eventually(lambda: states(fleet, [taken]) == {"complete"}, HEARD_WITHIN)
