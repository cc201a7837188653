"""Faults that need no process of their own (FAULTS.md F1, F2, F4, F6, F28, F29, F32, F35)."""

import asyncio
import json
import time

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from django.db import DataError, OperationalError
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs import backlog, store
from jobs.announce import find_archived
from jobs.exceptions import JobCancelled, StoreUnavailable
from jobs.job import Job
from jobs.models import JobRecordQuerySet
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.subscriptions import Subscription
from jobs.testing import JobCommunicator
from project.celery import app

from .factories import ANN, NOWHERE, create_job, eventually, hash_of, plant, request_of, started_job
from .surroundings import database_file, nothing_left  # noqa: F401 - fixtures
from .tasks import send_parcel

pytestmark = pytest.mark.usefixtures("database_file")

PUBSUB, CORE = "channels_redis.pubsub.RedisPubSubChannelLayer", "channels_redis.core.RedisChannelLayer"
R = 0.3  # seconds; RECONCILE_SECONDS here


@pytest.mark.parametrize("when", ["before the join", "between join and read", "after the read"])
async def test_f01_whenever_a_job_ends_during_the_connect_ready_is_heard_once(when, monkeypatch, nothing_left):  # noqa: F811
    job = await sync_to_async(started_job)()
    really_read, really_open = Subscription._read, Subscription.open

    async def read(self):
        if when == "between join and read":
            await sync_to_async(job.complete)()
        read = await really_read(self)
        if when == "after the read":
            await sync_to_async(job.complete)()
            await asyncio.sleep(0.05)  # the push has come by now, while nothing has been said yet
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
    """Set a channel layer, good or bad, and short limits; `ready` is owed within R all the same."""
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


def complete(job, how):
    """Complete a job from where the test wants it."""
    started = time.monotonic()
    job.complete()
    assert time.monotonic() - started < 4  # TIMEOUT of the publisher, and a little
    return how


@pytest.mark.parametrize("where", ["inside the event loop", "in a thread"])
async def test_f02_an_end_is_recorded_and_heard_whatever_the_layer_does(layer, where, nothing_left):  # noqa: F811
    job = await sync_to_async(started_job)()
    page = JobCommunicator(dict(ANN), job.id)
    await page.connect()
    await page.event("started", 10)
    if where == "inside the event loop":
        complete(job, where)
    else:
        await asyncio.to_thread(complete, job, where)
    await page.event("ready", R + 4)
    assert (await sync_to_async(JobRepository().find)(job.id)).state == "complete"
    await page.disconnect()


@pytest.fixture
def eager(settings):
    """Have Celery run every task at once, where it is sent."""
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": R}
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.mark.parametrize("where", ["synchronous", "inside a running loop"])
async def test_f02_an_eager_task_is_recorded_and_heard(where, eager, nothing_left):  # noqa: F811
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


def test_f04_a_heart_that_missed_the_last_changes_does_not_undo_them(redis_client):
    job = create_job()
    seen_by_the_heart = JobRepository().find(job.id).record
    job.start()
    job.data["receipt"] = "kept"
    redis_client.flushall()
    assert Job(seen_by_the_heart).restore(keep_version=True)
    assert hash_of(redis_client, job)["state"] == "pending"
    job.set_progress(1, 2)
    job.end(JobState.COMPLETE)
    found = JobRepository().find(job.id)
    assert (found.state, found.data["receipt"], found.attempt) == ("complete", "kept", 1)


def test_f04_a_cancel_on_what_the_heart_restored_stops_the_task(redis_client):
    job = started_job()
    known = JobRepository().find(job.id).record
    job.set_progress(1, 2)
    redis_client.flushall()
    Job(known).restore(keep_version=True)
    JobRepository().find(job.id).cancel()
    with pytest.raises(JobCancelled, match="asked to stop"):
        for step in range(100):
            job.set_progress(step, 100)
            time.sleep(0.01)  # the throttle's interval has to pass


def test_f06_a_replica_that_refuses_to_be_read_is_unavailable_and_no_damage(redis_client, caplog):
    job = create_job()
    redis_client.config_set("replica-serve-stale-data", "no")
    redis_client.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(StoreUnavailable):
            JobRepository().find(job.id)
    finally:
        redis_client.replicaof("NO", "ONE")
        redis_client.config_set("replica-serve-stale-data", "yes")
    assert "damaged" not in caplog.text
    assert JobRepository().find(job.id).state == "pending"


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
def test_f32_a_clock_of_ours_that_is_wrong_by_an_hour_ends_no_job(hours, monkeypatch, redis_client):
    waiting, running = create_job(), started_job()
    really = time.time
    monkeypatch.setattr(time, "time", lambda: really() + hours * 3600)
    later, now = create_job(), started_job()
    store.beat([running.id, now.id], 45)
    for job in (waiting, running, later, now):
        assert not JobRepository().find(job.id).is_ended
    versions = [JobRepository().find(job.id).version for job in (waiting, running, later, now)]
    assert max(versions) - min(versions) < 60_000_000  # all of them are Redis's, microseconds
    now.complete()
    assert abs(JobRepository().find(now.id).ended_at.timestamp() - really()) < 60


def test_f32_versions_grow_on_when_redis_s_clock_was_set_back(redis_client):
    job = started_job()
    an_hour_ahead = int(hash_of(redis_client, job)["version"]) + 3600 * 1_000_000
    plant(redis_client, job, version=an_hour_ahead)
    job.refresh()
    job.set_progress(1, 2)
    assert job.version > an_hour_ahead
    job.complete()
    assert JobRepository().find(job.id).state == "complete"


def test_f04_what_a_task_stores_while_redis_is_away_is_read_back_and_saved_when_it_answers(settings):
    job, here = started_job(), settings.JOBS
    job.data["draft"] = "old"
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.data["receipt"] = "kept"
    del job.data["draft"]
    assert dict(job.data) == {"receipt": "kept"}
    settings.JOBS = here
    eventually(lambda: dict(JobRepository().find(job.id).data) == {"receipt": "kept"})
    assert not job._unsaved


@pytest.mark.parametrize("is_back", [True, False], ids=["which is back", "which is still away"])
def test_f04_what_a_task_stored_while_redis_was_away_is_part_of_its_outcome(
    settings, is_back, monkeypatch, redis_client
):
    monkeypatch.setattr(backlog, "PAUSE", 0.05)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.data["receipt"] = "kept"
    if is_back:
        settings.JOBS = here
    job.complete()
    settings.JOBS = here
    eventually(lambda: hash_of(redis_client, job)["state"] == "complete")
    assert json.loads(hash_of(redis_client, job)["data.receipt"]) == json.loads(find_archived(job.id).data["receipt"])
    assert JobRepository().find(job.id).data["receipt"] == "kept"


def test_f04_who_does_not_run_the_task_is_told_that_redis_is_away(settings):
    job = create_job()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        job.data["receipt"] = "lost"
    assert dict(job.data) == {}


def test_f04_data_that_was_kept_is_not_written_into_a_job_that_has_ended_meanwhile(settings):
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.data["receipt"] = "too late"
    settings.JOBS = here
    with job._lock:  # the backlog waits
        JobRepository().find(job.id).end(JobState.CANCELLED)
    eventually(lambda: job.is_ended)
    assert dict(JobRepository().find(job.id).data) == {}


def test_f28_a_nul_in_a_text_becomes_a_mark_that_every_database_takes():
    job = started_job()
    job.set_progress(1, 2, "half\0way")
    job.end(JobState.FAILED, "line\0line")
    assert (job.error, job.progress.message) == ("line\ufffdline", "half\ufffdway")


def test_f28_what_somebody_planted_with_a_nul_is_archived_all_the_same(redis_client):
    job = started_job()
    plant(redis_client, job, **{"note": "\0", "language": "\0", "part.\0": "1"})
    JobRepository().find(job.id).end(JobState.COMPLETE)
    stored = find_archived(job.id)
    assert stored.state == "complete" and "\0" not in repr(stored)


def test_f35_a_record_that_no_database_takes_keeps_no_other_waiting(monkeypatch, caplog):
    bad, good = started_job(), started_job()
    really_store, asked = JobRecordQuerySet.store, set()

    def store_some(self, record):
        if record.id not in asked:
            asked.add(record.id)
            raise OperationalError("locked")  # for a moment, so that both are late
        if record.id == bad.id:
            raise DataError("unsupported Unicode escape sequence")
        really_store(self, record)

    monkeypatch.setattr(JobRecordQuerySet, "store", store_some)
    monkeypatch.setattr(backlog, "PAUSE", 0.05)
    for job in (bad, good):
        job.complete()
    eventually(lambda: find_archived(good.id))
    assert find_archived(bad.id) is None
    assert f"job {bad.id}: cannot be archived" in caplog.text  # said before the next one's turn came
