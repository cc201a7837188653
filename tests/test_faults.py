"""Faults that need no process of their own (FAULTS.md F1, F2, F29, F32)."""

import asyncio
import time

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.live.subscription import Subscription
from jobs.repository import JobRepository
from jobs.store import records
from jobs.testing import JobCommunicator
from project.celery import app

from .factories import ANN, NOWHERE, create_job, hash_of, plant, request_of, started_job
from .tasks import send_parcel

pytestmark = pytest.mark.usefixtures("database_file")

PUBSUB, CORE = (
    "channels_redis.pubsub.RedisPubSubChannelLayer",
    "channels_redis.core.RedisChannelLayer",
)
R = 0.3  # seconds: RECONCILE_SECONDS in these tests


@pytest.mark.parametrize("when", ["before the join", "between join and read", "after the read"])
async def test_f01_a_job_that_ends_during_the_connect_is_heard_once(
    when,
    monkeypatch,
    nothing_left,
):
    job = await sync_to_async(started_job)()
    really_read, really_open = Subscription._read, Subscription.open

    async def read(self):
        if when == "between join and read":
            await sync_to_async(job.complete)()
        read = await really_read(self)
        if when == "after the read":
            await sync_to_async(job.complete)()
            await asyncio.sleep(0.05)  # the push arrives before the page has got any frame
        return read

    async def opened(self):
        if when == "before the join":
            await sync_to_async(job.complete)()
        await really_open(self)

    monkeypatch.setattr(Subscription, "_read", read)
    monkeypatch.setattr(Subscription, "open", opened)
    page = JobCommunicator(dict(ANN), job.id)
    await page.connect()
    assert (await page.next())["event"] == "subscribed"
    await page.event("ready")
    assert await page.receive_nothing(0.2)
    await page.disconnect()


@pytest.fixture(params=["riding", "core layer", "a layer that refuses", "a layer that loses"])
def layer(request, settings, monkeypatch):
    """Set a channel layer, good or bad, and short limits; the page must hear within R anyway."""
    url = settings.JOBS["REDIS_URL"]
    backend, hosts = {
        "riding": (PUBSUB, [url]),
        "core layer": (CORE, [{"address": url, "socket_timeout": 15}]),
        "a layer that refuses": (PUBSUB, [NOWHERE]),
        "a layer that loses": ("channels.layers.InMemoryChannelLayer", []),
    }[request.param]
    config = {"hosts": hosts} if hosts else {}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": R}
    yield request.param
    channel_layers.backends.clear()


def complete(job):
    """Complete a job, in less time than the channel layer could hold it up."""
    started = time.monotonic()
    job.complete()
    assert time.monotonic() - started < 4  # the timeout of the publisher, and a margin


@pytest.mark.parametrize("where", ["inside the event loop", "in a thread"])
async def test_f02_an_end_is_recorded_and_heard_whatever_the_channel_layer_does(
    layer,
    where,
    nothing_left,
):
    job = await sync_to_async(started_job)()
    page = JobCommunicator(dict(ANN), job.id)
    await page.connect()
    await page.event("started", 10)
    if where == "inside the event loop":
        complete(job)
    else:
        await asyncio.to_thread(complete, job)
    await page.event("ready", R + 4)
    assert (await sync_to_async(JobRepository().find)(job.id)).state == "complete"
    await page.disconnect()


@pytest.fixture
def eager(settings):
    """Let Celery run every task immediately, in the process that sends it."""
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": R}
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.mark.parametrize("where", ["synchronous", "inside a running loop"])
async def test_f02_an_eager_task_is_recorded_and_heard(where, eager, nothing_left):
    async with JobCommunicator(dict(ANN)) as page:
        await page.subscribe(mine=True)
        request = request_of(dict(ANN))
        if where == "synchronous":
            job = await sync_to_async(send_parcel.start_job)(request, parcel="a book")
        else:
            job = send_parcel.start_job(request, parcel="a book")
        assert (await page.event("ready"))["id"] == job.id
        job = await sync_to_async(JobRepository().find)(job.id)
        assert job.data["receipt"] == "a book sent"


@example(current=5, total=1e-320)
@example(current=1e-300, total=1e14)
@given(current=st.floats(), total=st.floats())
@hypothesis_settings(deadline=None, max_examples=100)
def test_f29_no_pair_of_numbers_makes_progress_fail(current, total):
    job = started_job()
    job.set_progress(current, total)
    job.refresh()
    assert job.progress.percent is None or 0 <= job.progress.percent <= 99
    assert job.eta_seconds is None or job.eta_seconds >= 0


@pytest.mark.parametrize("hours", [1, -1])
def test_f32_a_local_clock_wrong_by_an_hour_ends_no_job(hours, monkeypatch, redis_client):
    waiting, running = create_job(), started_job()
    really = time.time
    monkeypatch.setattr(time, "time", lambda: really() + hours * 3600)
    later, now = create_job(), started_job()
    records.beat([running.id, now.id], 45)
    for job in (waiting, running, later, now):
        assert not JobRepository().find(job.id).is_ended
    versions = [JobRepository().find(job.id).version for job in (waiting, running, later, now)]
    assert max(versions) - min(versions) < 60_000_000  # microseconds of Redis's clock
    now.complete()
    assert abs(JobRepository().find(now.id).ended_at.timestamp() - really()) < 60


def test_f32_versions_keep_growing_after_redis_s_clock_was_set_back(redis_client):
    job = started_job()
    an_hour_ahead = int(hash_of(redis_client, job)["version"]) + 3600 * 1_000_000
    plant(redis_client, job, version=an_hour_ahead)
    job.refresh()
    job.set_progress(1, 2)
    assert job.version > an_hour_ahead
    job.complete()
    assert JobRepository().find(job.id).state == "complete"
