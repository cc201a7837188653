"""The sweep enforces deadlines when no page is open, and archives what is missing."""

import pytest

from jobs.core.record import Record
from jobs.exceptions import StoreUnavailable
from jobs.models import JobRecord
from jobs.states import JobState
from jobs.store import indexes, keys, records, server
from jobs.store.client import client
from jobs.store.records import Change
from jobs.upkeep.sweep import Swept, sweep
from tests.factories import (
    NOWHERE,
    commands,
    create_job,
    ended_job,
    eventually,
    plant,
    started_job,
)

pytestmark = pytest.mark.django_db


def overdue(job):
    """Let a job's deadline pass."""
    plant(client(), job, deadline=1)
    return job


def listed():
    return set(indexes.all_ids(0, 1000))


def states():
    return dict(JobRecord.objects.values_list("pk", "state"))


def test_an_empty_list_costs_one_command(redis_client):
    assert sweep() == Swept()
    assert commands(redis_client, sweep) == ["ZRANGE"]


def test_a_job_that_nobody_reads_still_expires_or_is_lost():
    waiting, running, healthy = overdue(create_job()), overdue(started_job()), started_job()
    assert sweep() == Swept(alive=1, ended=2)
    assert states() == {waiting.id: "expired", running.id: "lost"}
    assert healthy.refresh().state is JobState.RUNNING


def test_a_job_missing_from_the_archive_is_archived_late():
    job = ended_job(JobState.FAILED, "The parcel broke.")
    JobRecord.objects.all().delete()
    assert sweep() == Swept(archived=1)
    assert JobRecord.objects.get().to_record().error == "The parcel broke."
    assert sweep() == Swept() and job.id not in listed()


def test_a_newer_outcome_replaces_the_archived_one():
    job = started_job()
    job.end(JobState.LOST)
    lost = JobRecord.objects.values("state", "ended_at", "version", "stored").get()
    job.end(JobState.COMPLETE)
    JobRecord.objects.update(**lost)
    assert sweep() == Swept(archived=1)
    assert states() == {job.id: "complete"}


def test_a_claimed_outcome_is_left_alone():
    job = started_job()
    job.end(JobState.LOST)
    JobRecord.objects.update(claimed_at="2026-01-01T00:00:00Z")
    plant(client(), job, state="complete")
    assert sweep() == Swept()
    assert states() == {job.id: "lost"}


def test_the_list_keeps_alive_and_unclaimed_lost_jobs():
    alive, lost, ended = started_job(), started_job(), ended_job()
    lost.end(JobState.LOST)
    assert {alive.id, lost.id, ended.id} == listed()
    sweep()
    assert listed() == {alive.id, lost.id}


def test_a_job_that_redis_dropped_leaves_the_list(redis_client):
    job = create_job()
    redis_client.delete(keys.job_key(job.id))
    assert sweep() == Swept()
    assert listed() == set()


def test_a_job_the_database_refuses_is_counted_and_kept(monkeypatch):
    job = ended_job()
    JobRecord.objects.all().delete()
    monkeypatch.setattr("jobs.upkeep.sweep.archive", lambda record: False)
    assert sweep() == Swept(unarchived=1)
    assert listed() == {job.id}


def test_without_an_archive_only_deadlines_are_enforced(settings):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    overdue(create_job())
    ended_job()
    assert sweep() == Swept(ended=1)
    assert states() == {} and listed() == set()


def test_every_page_of_the_list_is_swept(monkeypatch):
    monkeypatch.setattr("jobs.upkeep.sweep.PAGE_SIZE", 2)
    alive = {started_job().id for _ in range(3)}
    late = {(overdue(create_job()) if n % 2 else ended_job()).id for n in range(5)}
    alive |= {started_job().id for _ in range(2)}
    JobRecord.objects.all().delete()
    assert sweep() == Swept(alive=5, ended=2, archived=3)
    assert set(states()) == late and listed() == alive


def test_a_page_of_alive_jobs_costs_two_round_trips_and_no_query(
    redis_client, django_assert_num_queries
):
    for _ in range(5):
        started_job()
    with django_assert_num_queries(0):
        assert commands(redis_client, sweep) == ["ZRANGE", "TIME", *["HMGET"] * 5, "ZRANGE"]
    ended_job()
    with django_assert_num_queries(1):
        sweep()


def test_a_damaged_record_does_not_stop_the_sweep(redis_client):
    redis_client.hset(keys.job_key("damaged"), mapping={"state": "no state"})
    indexes.add_to_indexes(Record("damaged"))
    late = overdue(create_job())
    assert sweep().ended == 1
    assert states() == {late.id: "expired"}


def test_the_list_of_all_jobs_is_bounded(monkeypatch):
    monkeypatch.setattr(indexes, "ALL_SIZE", 3)
    for n in range(5):
        indexes.add_to_indexes(Record(f"parcel-{n}", version=n + 1))
    assert indexes.all_ids(0, 10) == ["parcel-2", "parcel-3", "parcel-4"]


def test_a_job_without_owner_and_tags_is_listed_too(redis_client):
    job = create_job(owner=None)
    assert listed() == {job.id}


def test_a_sweep_without_the_store_raises(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        sweep()


def test_examining_the_store_leaves_nothing_behind(redis_client):
    clock, policy = server.check_write()
    assert redis_client.dbsize() == 0 and policy == ""
    assert clock <= records.read("any").now


def test_the_policy_matters_only_where_memory_is_limited(redis_client):
    redis_client.config_set("maxmemory", 10**9)
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert server.check_write()[1] == "allkeys-lru"
    finally:
        redis_client.config_set("maxmemory", 0)
        redis_client.config_set("maxmemory-policy", "noeviction")
    assert records.write(None, Record("after"), Change()).written


def test_a_deadline_that_passes_during_a_sweep_waits_for_the_next(settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.05}
    job = create_job()
    assert eventually(lambda: sweep().ended) == 1
    assert states() == {job.id: "expired"}
