"""A job in Redis: pushed as it is stored, settled, and restored when Redis has lost it."""

import json

import pytest
from django.db import connections

from jobs import signals
from jobs.exceptions import (
    ClaimInProgress,
    JobEnded,
    JobNotFound,
    StoreUnavailable,
    UnserializableData,
)
from jobs.job import Job
from jobs.models import JobRecord
from jobs.push import channel_layer, frames
from jobs.repository import JobRepository
from jobs.runtime import backlog
from jobs.states import JobState
from jobs.store import records
from jobs.testing import capture_events
from jobs.waiting.claim import mark_claimed
from jobs.waiting.leases import give_back, take_lease
from tests.factories import (
    NOWHERE,
    again,
    at_once,
    commands,
    create_job,
    draft,
    ended_job,
    event_names,
    eventually,
    hash_of,
    lost_job,
    overdue,
    plant,
    started_job,
)

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture
def short_limits(settings):
    """Let deadlines pass within the test."""
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.05, "LOST_AFTER": 0.05}


# Pushes


def test_every_transition_is_pushed_as_it_is_stored():
    with capture_events() as pushed:
        job = create_job()
        job.start()
        job.set_progress(1, 4, "packing")
        job.retry(0)
        job.start()
        job.complete()
    events = "created started progress retrying started ready"
    assert event_names(pushed) == events.split()
    assert pushed[-1]["job"] == json.loads(frames.encode(frames.job_object(again(job))))
    versions = [frame["job"]["version"] for frame in pushed]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    "verb", [lambda job: job.start(), lambda job: job.complete(), lambda job: job.fail("no")]
)
def test_a_push_that_rides_on_the_script_equals_the_stored_job(redis_client, verb):
    job = create_job()
    with redis_client.pubsub() as listener:
        listener.psubscribe("asgi__group__*")
        listener.get_message(timeout=1)
        verb(job)
        body = listener.get_message(timeout=1)["data"]
    message = channel_layer.project_layer().deserialize(body)
    frame = json.loads(message["frame"])
    assert frame["job"] == json.loads(frames.encode(frames.job_object(again(job))))
    assert message["version"] == str(job.version) == hash_of(redis_client, job)["version"]


def test_data_is_written_without_a_push():
    job = started_job()
    with capture_events() as frames:
        job.data["x"] = 1
    assert frames == []


@pytest.mark.parametrize("verb", ["start", "complete", "fail", "cancel"])
def test_a_verb_is_one_round_trip(redis_client, verb):
    job = create_job()
    assert commands(redis_client, getattr(job, verb)) == ["EVALSHA"]


def test_completing_a_job_that_somebody_else_has_written_to_takes_one_more(redis_client):
    job = started_job()
    again(job).data["x"] = 1
    assert commands(redis_client, job.complete) == ["EVALSHA", "EVALSHA"]
    assert again(job).data == {"x": 1}


# Deadlines


@pytest.mark.parametrize(
    ("make", "end"), [(create_job, JobState.EXPIRED), (started_job, JobState.LOST)]
)
def test_a_job_past_its_deadline_is_ended_by_whoever_reads_it_first(short_limits, make, end):
    job = make()
    assert job.state not in (JobState.EXPIRED, JobState.LOST)
    overdue(job)
    with capture_events() as frames:
        assert again(job).state is end
        assert again(job).state is end
    assert event_names(frames) == [end.value]
    assert JobRecord.objects.get(pk=job.id).state == end.value


def test_of_many_readers_of_an_overdue_job_one_announces_its_end(short_limits):
    job = started_job()
    overdue(job)
    with capture_events() as frames:
        found = at_once([lambda: again(job).state] * 8)
    assert found == [JobState.LOST] * 8
    assert event_names(frames) == ["lost"]


def test_a_retry_that_nobody_takes_expires_after_its_due_time(short_limits):
    job = started_job()
    job.retry(0.05)
    assert again(job).state is JobState.RETRYING
    overdue(job)
    assert again(job).state is JobState.EXPIRED


def test_a_heartbeat_puts_the_loss_of_a_job_off(short_limits):
    job = started_job()
    records.beat([job.id], 60)
    eventually(lambda: records.read(job.id).now > job.record.started_at + 60_000)
    assert again(job).state is JobState.RUNNING


def test_progress_puts_the_loss_of_a_job_off(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 5}
    job = started_job()
    before = records.read(job.id).record.deadline
    job.set_progress(1)
    assert records.read(job.id).record.deadline > before


def test_an_expired_job_is_not_started_by_a_worker_that_comes_later(short_limits):
    job = create_job()
    overdue(job)
    with pytest.raises(JobEnded):
        job.start()
    assert again(job).state is JobState.EXPIRED


def test_a_job_without_a_deadline_waits_for_ever():
    job = create_job()
    assert again(job).record.deadline > 0
    job.end(JobState.FAILED)
    assert again(job).record.deadline == 0


def test_a_lost_job_that_was_only_silent_may_still_complete(short_limits):
    worker, known = lost_job()
    with capture_events() as frames:
        worker.complete()
    assert again(known).state is JobState.COMPLETE and event_names(frames) == ["ready"]
    assert JobRecord.objects.get(pk=known.id).state == "complete"


@pytest.mark.parametrize(
    "change", [lambda job: job.set_progress(1, 2), lambda job: job.data.update(x=1)]
)
def test_a_lost_job_runs_again_when_its_worker_writes(short_limits, change):
    worker, known = lost_job()
    change(worker)
    assert worker.state is JobState.RUNNING and worker.ended_at is None


def test_a_lost_job_may_be_started_again(short_limits):
    _worker, known = lost_job()
    known.start()
    assert (known.state, known.attempt, known.ended_at) == (JobState.RUNNING, 2, None)


def test_a_lost_job_stays_lost_while_somebody_claims_it_and_ever_after(short_limits):
    worker, known = lost_job()
    assert take_lease(known, "a", 30)
    with pytest.raises(ClaimInProgress):
        again(known).start()
    mark_claimed(known, "/lost/", "a")
    for verb in (worker.complete, again(known).start, lambda: worker.set_progress(1)):
        with pytest.raises(JobEnded):
            verb()
    assert (again(known).state, again(known).claimed_url) == (JobState.LOST, "/lost/")


def test_a_lost_job_may_complete_after_a_claim_that_failed(short_limits):
    worker, known = lost_job()
    assert take_lease(known, "a", 30)
    give_back(known, "a")
    worker.complete()
    assert again(known).state is JobState.COMPLETE


# Drafts


def test_a_draft_can_be_written_to_and_refuses_every_verb(redis_client):
    job = draft(parcel="books")
    job.data["weight"] = 3
    del job.data["parcel"]
    assert job.data == {"weight": 3} and job.is_draft
    assert job.get_absolute_url() == f"/jobs/{job.id}/"
    step = job.increment_progress
    for verb in (
        job.start,
        job.complete,
        lambda: job.fail("x"),
        job.cancel,
        lambda: job.set_progress(1),
        step,
        step,
    ):
        with pytest.raises(JobNotFound, match="when the surrounding transaction has committed"):
            verb()
    assert redis_client.dbsize() == 0


def test_what_was_written_to_a_draft_goes_along_when_it_is_stored():
    job = draft(parcel="books")
    job.data["weight"] = 3
    JobRepository().store_draft(job)
    assert not job.is_draft and again(job).data == {"parcel": "books", "weight": 3}


def test_the_data_of_a_draft_is_bounded_too(settings):
    settings.JOBS = settings.JOBS | {"MAX_DATA": 10}
    with pytest.raises(UnserializableData):
        draft().data["parcel"] = "x" * 10


# A store that was emptied, or is away


def test_a_worker_s_job_survives_an_empty_redis(redis_client):
    job = started_job(data={"parcel": "books"}, tags=["post"])
    seen = job.version
    redis_client.flushall()
    job.set_progress(1, 2)
    assert again(job).version > seen and again(job).data == {"parcel": "books"}
    redis_client.flushall()
    job.complete()
    assert (again(job).state, again(job).tags) == (JobState.COMPLETE, ("post",))


def test_a_restored_job_is_in_its_owner_s_list(redis_client):
    job = started_job()
    redis_client.flushall()
    job.set_progress(1, 2)
    assert [one.id for one in JobRepository().for_owner("visitor:ann")] == [job.id]


def test_a_record_is_written_anew_only_where_there_is_none(redis_client):
    job = started_job()
    assert not job.stored.restore()
    redis_client.flushall()
    assert job.stored.restore() and not job.stored.restore()
    assert records.read(job.id).record.deadline > 0


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize("read", [again, Job.refresh], ids=["found", "refreshed"])
def test_a_job_lost_twice_is_newer_than_what_its_page_saw(redis_client, read):
    worker, known = lost_job()  # archived as lost
    worker.set_progress(1, 2)  # heard by its page; after this the worker dies
    redis_client.flushall()
    found = read(known)
    assert found.state is JobState.LOST
    assert found.version > worker.version
    assert again(known).version == found.version  # the same for every reader
    assert JobRecord.objects.get(pk=known.id).version == found.version


def test_a_lost_job_that_redis_has_forgotten_stays_forgotten(redis_client, settings):
    job = ended_job(JobState.LOST)
    redis_client.flushall()
    settings.JOBS = settings.JOBS | {"TTL": 0}
    assert again(job).version == job.version and redis_client.dbsize() == 0


def test_an_end_during_an_outage_is_archived_and_stored_later(settings, monkeypatch):
    def hang_up(**_):
        connections.close_all()  # of the backlog's thread, which does not (see test_backlog)

    monkeypatch.setattr(backlog, "RETRY_PAUSE", 0.01)
    signals.job_ended.connect(hang_up)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.complete()
    assert job.state is JobState.COMPLETE
    assert JobRecord.objects.get(pk=job.id).state == "complete"
    assert again(job).state is JobState.COMPLETE  # from the archive
    settings.JOBS = here
    eventually(lambda: records.read(job.id).record.state is JobState.COMPLETE)
    eventually(lambda: not backlog.backlog()._is_running)
    signals.job_ended.disconnect(hang_up)


def test_an_outage_raises_for_everybody_but_the_task(settings):
    job = again(started_job())
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    for verb in (
        lambda: job.end(JobState.COMPLETE),
        job.cancel,
        job.start,
        lambda: job.data.update(x=1),
    ):
        with pytest.raises(StoreUnavailable):
            verb()


def test_an_outcome_in_the_archive_is_what_an_overdue_job_becomes(short_limits, redis_client):
    job = started_job()
    JobRecord.objects.store(
        job.record.replace(state=JobState.COMPLETE, ended_at=job.version, version=job.version + 1)
    )
    overdue(job)
    assert again(job).state is JobState.COMPLETE


# Damage


@pytest.mark.parametrize(
    "field", [{"version": "soon"}, {"version": str(10**16)}, {"state": "done"}, {"tags": "["}]
)
def test_a_damaged_job_is_failed_and_refuses_every_change(redis_client, caplog, field):
    job = started_job()
    plant(redis_client, job, **field)
    damaged = again(job)
    assert damaged.state is JobState.FAILED and damaged.owner == "visitor:ann"
    with pytest.raises(JobEnded):
        damaged.complete()
    assert len(caplog.records) <= 5


@pytest.mark.parametrize("field", [{"version": "soon"}, {"version": str(10**16)}])
def test_a_damaged_version_does_not_keep_a_claim_busy(redis_client, caplog, field):
    job = ended_job()
    plant(redis_client, job, **field)
    assert len(commands(redis_client, lambda: mark_claimed(again(job), "/x/"))) < 10
    assert len(caplog.records) < 10
