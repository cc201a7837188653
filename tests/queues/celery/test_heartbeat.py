"""The heart keeps running jobs alive and writes back what Redis has lost."""

import threading

import pytest
from celery.worker import state as worker_state

from jobs.exceptions import StoreUnavailable
from jobs.queues.celery.heartbeat import Heart
from jobs.states import JobState
from jobs.store import records
from tests.factories import NOWHERE, again, create_job, eventually, hash_of, plant, started_job

from .played_parent import run_by

pytestmark = pytest.mark.usefixtures("database_file")


def test_a_beat_moves_the_deadline_of_running_jobs_only(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 1, "HEARTBEAT": 0.1}
    job, waiting = started_job(), create_job()
    before, untouched = records.read(job.id).record, records.read(waiting.id).record
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 60}
    Heart().beat([job.id, waiting.id, "nobody"])
    after = records.read(job.id).record
    assert after.deadline > before.deadline and after.version == before.version
    assert records.read(waiting.id).record == untouched


def test_a_beat_writes_back_a_record_that_redis_has_lost(redis_client):
    heart, job = Heart(), started_job(parcel="books")
    heart.beat([job.id])
    redis_client.flushall()
    heart.beat([job.id])
    known = records.read(job.id).record
    assert (known.state, known.data) == (
        JobState.RUNNING,
        {"parcel": '"books"'},
    ) and known.deadline > 0
    assert known.version >= job.version


def test_a_beat_does_not_write_back_a_job_that_no_longer_runs(redis_client):
    heart, job = Heart(), started_job()
    heart.beat([job.id])
    redis_client.flushall()
    heart.beat([])
    heart.beat([job.id])
    assert records.read(job.id).record is None


def test_a_beat_replaces_a_record_from_an_old_backup(redis_client):
    heart, job = Heart(), create_job()
    backup = hash_of(redis_client, job)
    job.start()
    heart.beat([job.id])
    redis_client.flushall()
    plant(redis_client, job, **backup)
    heart.beat([job.id])
    assert again(job).state is JobState.RUNNING


def test_a_beat_raises_if_the_store_is_down(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        Heart().beat(["parcel-1"])


def test_f49_a_heart_does_not_beat_for_another_worker_s_attempt(received, monkeypatch):
    job, request = received()
    again(job).start("another@there/1")
    heart, beats = Heart(), []
    heart.watch([request])
    monkeypatch.setattr(records, "beat", lambda job_ids, _lost_after: beats.append(job_ids))
    heart.beat([job.id])
    assert beats == []


def test_the_heart_beats_for_the_active_requests_of_jobs(received, monkeypatch, settings):
    settings.JOBS = settings.JOBS | {"HEARTBEAT": 0.01}
    job, request = received()
    run_by(request, job)
    _none, plain = received(plain=True)
    monkeypatch.setattr(worker_state, "active_requests", {request, plain})
    beats, heart = [], Heart()

    def beat(job_ids, _lost_after):
        beats.append(list(job_ids))
        if len(beats) == 1:
            raise StoreUnavailable("away for a moment")

    monkeypatch.setattr(records, "beat", beat)
    heart.start()
    heart.start()
    eventually(lambda: len(beats) >= 3)
    assert beats[:3] == [[job.id]] * 3
    assert [thread.name for thread in threading.enumerate()].count("jobs-heart") == 1
