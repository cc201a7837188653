"""Writes and reads while Redis or the archive does not answer (faults F4, F5, F6, F28, F35)."""

import json
import time

import pytest
from django.db import DataError, OperationalError

from jobs.archive.writer import find_archived
from jobs.exceptions import JobCancelled, StoreUnavailable
from jobs.job import Job
from jobs.models import JobRecordQuerySet
from jobs.repository import JobRepository
from jobs.runtime import backlog
from jobs.states import JobState

from .factories import NOWHERE, create_job, eventually, hash_of, plant, started_job

pytestmark = pytest.mark.usefixtures("database_file")


def test_f04_a_heartbeat_with_a_stale_copy_undoes_no_change(redis_client):
    job = create_job()
    seen_by_the_heart = JobRepository().find(job.id).record
    job.start()
    job.data["receipt"] = "kept"
    redis_client.flushall()
    assert Job(seen_by_the_heart).stored.restore(keep_version=True)
    assert hash_of(redis_client, job)["state"] == '"pending"'
    job.set_progress(1, 2)
    job.end(JobState.COMPLETE)
    found = JobRepository().find(job.id)
    assert (found.state, found.data["receipt"], found.attempt) == ("complete", "kept", 1)


@pytest.fixture
def unreadable_database(monkeypatch):
    """Let every query of the archive fail."""

    def refuse(self, *args, **kwargs):
        raise OperationalError("locked")

    monkeypatch.setattr(JobRecordQuerySet, "filter", refuse)


@pytest.mark.usefixtures("unreadable_database")
def test_f05_no_job_is_not_found_while_the_archive_is_down(redis_client):
    job = started_job()
    redis_client.flushall()
    for look in (Job(job.record).refresh, lambda: JobRepository().find(job.id)):
        with pytest.raises(StoreUnavailable, match="could not be read from the archive"):
            look()


@pytest.mark.usefixtures("unreadable_database")
def test_f35_a_running_job_needs_no_archive(redis_client):
    job = started_job()
    redis_client.flushall()
    job.set_progress(1, 2)
    assert JobRepository().find(job.id).state == "running"


def test_f04_a_cancel_of_a_restored_job_stops_the_task(redis_client):
    job = started_job()
    known = JobRepository().find(job.id).record
    job.set_progress(1, 2)
    redis_client.flushall()
    Job(known).stored.restore(keep_version=True)
    JobRepository().find(job.id).cancel()
    with pytest.raises(JobCancelled, match="asked to stop"):
        for step in range(100):
            job.set_progress(step, 100)
            time.sleep(0.01)  # the throttle's interval has to pass


def test_f06_a_replica_that_refuses_reads_is_an_outage_not_damage(redis_client, caplog):
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


def test_f04_data_written_during_an_outage_is_saved_when_redis_answers(
    settings,
):
    job, here = started_job(), settings.JOBS
    job.data["draft"] = "old"
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.data["receipt"] = "kept"
    del job.data["draft"]
    assert dict(job.data) == {"receipt": "kept"}
    settings.JOBS = here
    eventually(lambda: dict(JobRepository().find(job.id).data) == {"receipt": "kept"})
    eventually(lambda: not job.stored.pending.data)


@pytest.mark.parametrize("is_back", [True, False], ids=["which is back", "which is still away"])
def test_f04_data_written_during_an_outage_is_saved_with_the_end(
    settings, is_back, monkeypatch, redis_client
):
    monkeypatch.setattr(backlog, "RETRY_PAUSE", 0.05)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.data["receipt"] = "kept"
    if is_back:
        settings.JOBS = here
    job.complete()
    settings.JOBS = here
    eventually(lambda: hash_of(redis_client, job)["state"] == '"complete"')
    assert json.loads(hash_of(redis_client, job)["data.receipt"]) == json.loads(
        find_archived(job.id).data["receipt"]
    )
    assert JobRepository().find(job.id).data["receipt"] == "kept"


def test_f04_only_the_task_s_own_process_may_write_during_an_outage(settings):
    job = create_job()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        job.data["receipt"] = "lost"
    assert dict(job.data) == {}


def test_f04_data_kept_in_an_outage_is_not_written_after_the_end(settings):
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.data["receipt"] = "too late"
    settings.JOBS = here
    with job.stored.lock:  # the backlog waits
        JobRepository().find(job.id).end(JobState.CANCELLED)
    eventually(lambda: job.is_ended)
    assert dict(JobRepository().find(job.id).data) == {}


def test_f28_a_nul_in_a_text_is_replaced():
    job = started_job()
    job.set_progress(1, 2, "half\0way")
    job.end(JobState.FAILED, "line\0line")
    assert (job.error, job.progress.message) == ("line\ufffdline", "half\ufffdway")


def test_f28_a_planted_nul_does_not_prevent_archiving(redis_client):
    job = started_job()
    plant(redis_client, job, **{"note": "\0", "language": "\0", "part.\0": "1"})
    JobRepository().find(job.id).end(JobState.COMPLETE)
    stored = find_archived(job.id)
    assert stored.state == "complete" and "\0" not in repr(stored)


def test_f35_a_record_the_database_refuses_does_not_block_others(monkeypatch, caplog):
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
    monkeypatch.setattr(backlog, "RETRY_PAUSE", 0.05)
    for job in (bad, good):
        job.complete()
    eventually(lambda: find_archived(good.id))
    assert find_archived(bad.id) is None
    assert (
        f"job {bad.id}: the database refuses to archive it" in caplog.text
    )  # said before the next one's turn came
