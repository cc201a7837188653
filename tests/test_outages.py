"""What is kept and what is refused while Redis or the archive is away (FAULTS.md F4, F6, F28, F35)."""

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
from .surroundings import database_file  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("database_file")


def test_f04_a_heart_that_missed_the_last_changes_does_not_undo_them(redis_client):
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
    """Let the database refuse to be asked."""

    def refuse(self, *args, **kwargs):
        raise OperationalError("locked")

    monkeypatch.setattr(JobRecordQuerySet, "filter", refuse)


@pytest.mark.usefixtures("unreadable_database")
def test_f05_nobody_is_told_that_a_job_is_unknown_while_the_archive_cannot_be_asked(redis_client):
    job = started_job()
    redis_client.flushall()
    for look in (Job(job.record).refresh, lambda: JobRepository().find(job.id)):
        with pytest.raises(StoreUnavailable, match="cannot be asked"):
            look()


@pytest.mark.usefixtures("unreadable_database")
def test_f35_a_job_that_runs_needs_no_archive(redis_client):
    job = started_job()
    redis_client.flushall()
    job.set_progress(1, 2)
    assert JobRepository().find(job.id).state == "running"


def test_f04_a_cancel_on_what_the_heart_restored_stops_the_task(redis_client):
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


def test_f04_what_a_task_stores_while_redis_is_away_is_read_back_and_saved_when_it_answers(
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
def test_f04_what_a_task_stored_while_redis_was_away_is_part_of_its_outcome(
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
    monkeypatch.setattr(backlog, "RETRY_PAUSE", 0.05)
    for job in (bad, good):
        job.complete()
    eventually(lambda: find_archived(good.id))
    assert find_archived(bad.id) is None
    assert (
        f"job {bad.id}: cannot be archived" in caplog.text
    )  # said before the next one's turn came
