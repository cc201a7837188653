"""The verbs of a job: each one atomic transition, the first end wins, and a pushed frame is the stored job."""

import json
import logging
import math
import threading
from itertools import product
from time import monotonic

import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.db.backends.signals import connection_created
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from jobs import backlog, events, publisher, signals, store
from jobs.detached import DetachedJob
from jobs.exceptions import (
    JobCancelled,
    JobEnded,
    JobExists,
    JobNotFound,
    StoreUnavailable,
    UnserializableData,
)
from jobs.job import Job
from jobs.models import JobRecord
from jobs.record import Record
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.testing import capture_events

from .factories import (
    NOWHERE,
    at_once,
    commands,
    create_job,
    ended_job,
    eventually,
    hash_of,
    plant,
    started_job,
)
from .surroundings import database_file  # noqa: F401 - a fixture
from .test_data import ANY_JSON, ANY_TEXT

pytestmark = pytest.mark.usefixtures("database_file")

VERBS = {
    JobState.RUNNING: lambda job: job.start(),
    JobState.RETRYING: lambda job: job.retry(5),
    JobState.COMPLETE: lambda job: job.complete(),
    JobState.FAILED: lambda job: job.fail("no"),
    JobState.CANCELLED: lambda job: job.end(JobState.CANCELLED),
    JobState.EXPIRED: lambda job: job.end(JobState.EXPIRED),
    JobState.LOST: lambda job: job.end(JobState.LOST),
}


def again(job):
    """Return the job as another process finds it."""
    return JobRepository().find(job.id)


def event_names(frames):
    return [frame["event"] for frame in frames]


# Transitions


@pytest.mark.parametrize(("before", "after"), list(product(JobState, VERBS)))
def test_a_verb_takes_a_job_only_where_the_table_lets_it(redis_client, before, after):
    job = create_job()
    plant(redis_client, job, state=before.value)
    job, stored = again(job), hash_of(redis_client, job)
    if before.may_become(after):
        VERBS[after](job)
        assert job.state is again(job).state is after
    else:
        with pytest.raises(JobEnded, match=f"is {before} and cannot become {after}"):
            VERBS[after](job)
        assert hash_of(redis_client, job) == stored


def test_a_job_tells_each_moment_of_its_life():
    job = create_job()
    assert (job.state, job.attempt, job.started_at, job.ended_at) == ("pending", 0, None, None)
    job.start()
    assert (job.state, job.attempt) == ("running", 1)
    job.complete()
    assert (job.state, job.is_ended) == ("complete", True)
    assert job.created_at < job.started_at < job.ended_at
    known = again(job)
    assert (known.created_at, known.started_at, known.ended_at) == (job.created_at, job.started_at, job.ended_at)


def test_the_first_of_many_ends_wins_and_nobody_hears_of_the_others(redis_client):
    job = started_job()
    ends = [JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED, JobState.LOST] * 2
    jobs = [again(job) for _ in ends]
    with capture_events() as frames:
        results = at_once(
            [lambda one=one, end=end: one.end(end, end.value) for one, end in zip(jobs, ends, strict=True)]
        )
    finals = [end for end, result in zip(ends, results, strict=True) if result is None and end is not JobState.LOST]
    assert len(finals) == 1 and again(job).state is finals[0] and again(job).error == finals[0].value
    assert all(isinstance(result, JobEnded | None) for result in results)
    assert [name for name in event_names(frames) if name != "lost"] == [events.OF_STATE[finals[0]]]
    assert JobRecord.objects.get(pk=job.id).state == finals[0].value


def test_eight_workers_that_complete_the_same_job_make_one_end():
    job = started_job()
    jobs = [again(job) for _ in range(8)]
    with capture_events() as frames:
        results = at_once([one.complete for one in jobs])
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, JobEnded) for result in results) == 7
    assert event_names(frames) == ["ready"]


def test_a_late_writer_learns_how_it_ended():
    job = started_job()
    late = again(job)
    job.complete()
    with pytest.raises(JobEnded, match="the first end wins"):
        late.fail("too late")
    assert late.state is JobState.COMPLETE and late.error == ""


def test_versions_of_a_job_only_grow():
    job = create_job()
    versions = [job.version]
    for change in (job.start, lambda: job.data.update(x=1), lambda: job.set_progress(1), job.complete):
        change()
        versions.append(job.version)
    assert versions == sorted(set(versions)) and again(job).version == versions[-1]


def test_a_verb_of_a_job_that_is_nowhere_says_so(redis_client):
    job = create_job()
    redis_client.flushall()
    for verb in (job.complete, job.start, job.cancel, lambda: job.set_progress(1), lambda: job.data.update(x=1)):
        with pytest.raises(JobNotFound, match=job.id):
            verb()
    assert redis_client.dbsize() == 0


def test_a_job_that_is_created_twice_is_there_once():
    job = create_job(id="parcel-1", data={"n": 1})
    with pytest.raises(JobExists):
        create_job(id="parcel-1", data={"n": 2})
    assert again(job).data == {"n": 1}


def test_refreshing_shows_what_others_have_done():
    job = create_job()
    again(job).start()
    assert job.state is JobState.PENDING
    assert job.refresh() is job
    assert job.state is JobState.RUNNING


def test_refreshing_finds_an_ended_job_in_the_archive(redis_client):
    job = ended_job(data={"parcel": "books"})
    stale = Job(job.record.replace(state=JobState.RUNNING))
    redis_client.flushall()
    assert stale.refresh().state is JobState.COMPLETE and stale.data == {"parcel": "books"}
    with pytest.raises(JobNotFound):
        Job(job.record.replace(id="nobody")).refresh()


def test_refreshing_enforces_the_deadline(settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.01}
    job = create_job()
    eventually(lambda: store.read(job.id).now > store.read(job.id).record.deadline)
    assert job.refresh().state is JobState.EXPIRED


# Pushes


def test_every_transition_is_pushed_as_it_is_stored():
    with capture_events() as frames:
        job = create_job()
        job.start()
        job.set_progress(1, 4, "packing")
        job.retry(0)
        job.start()
        job.complete()
    assert event_names(frames) == ["created", "started", "progress", "retrying", "started", "ready"]
    assert frames[-1]["job"] == json.loads(events.encode(events.job_object(again(job))))
    assert [frame["job"]["version"] for frame in frames] == sorted({frame["job"]["version"] for frame in frames})


@pytest.mark.parametrize("verb", [lambda job: job.start(), lambda job: job.complete(), lambda job: job.fail("no")])
def test_a_push_that_rides_on_the_script_equals_the_stored_job(redis_client, verb):
    job = create_job()
    with redis_client.pubsub() as listener:
        listener.psubscribe("asgi__group__*")
        listener.get_message(timeout=1)
        verb(job)
        body = listener.get_message(timeout=1)["data"]
    message = publisher._layer().deserialize(body)
    frame = json.loads(message["frame"])
    assert frame["job"] == json.loads(events.encode(events.job_object(again(job))))
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


# Ends inside transactions


def test_a_job_that_completes_inside_a_transaction_is_ready_when_that_commits():
    job = started_job()
    with capture_events() as frames, transaction.atomic():
        Group.objects.create(name="moved")
        job.complete()
        assert again(job).state is JobState.RUNNING and frames == []
    assert again(job).state is job.state is JobState.COMPLETE
    assert event_names(frames) == ["ready"]


def test_a_failure_inside_a_transaction_takes_effect_on_commit_too():
    job = started_job()
    with transaction.atomic():
        job.fail("too heavy")
        assert again(job).state is JobState.RUNNING
    assert (again(job).state, again(job).error) == (JobState.FAILED, "too heavy")


def test_a_job_whose_transaction_is_rolled_back_has_not_ended():
    job = started_job()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        job.complete()
        raise ZeroDivisionError
    assert again(job).state is JobState.RUNNING
    job.fail("rolled back")
    assert again(job).state is JobState.FAILED


def test_who_hears_ready_sees_what_the_transaction_has_written(monkeypatch):
    seen = []
    really_write = store.write

    def write(*args, **kwargs):
        seen.extend(at_once([lambda: Group.objects.filter(name="moved").exists()]))
        return really_write(*args, **kwargs)

    job = started_job()
    with transaction.atomic():
        Group.objects.create(name="moved")
        job.complete()
        monkeypatch.setattr(store, "write", write)
    assert seen == [True]


def test_an_end_that_comes_too_late_on_commit_is_logged_and_not_raised(caplog):
    job = started_job()
    with transaction.atomic():
        job.complete()
        again(job).end(JobState.FAILED, "meanwhile")
    assert again(job).state is JobState.FAILED
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"job {job.id}: complete after the commit was refused" in caplog.text


def test_a_job_known_to_have_ended_refuses_at_once_inside_a_transaction_too():
    job = ended_job()
    with transaction.atomic(), pytest.raises(JobEnded):
        job.fail("no")


def test_progress_inside_a_transaction_is_seen_at_once():
    job = started_job()
    with transaction.atomic():
        job.set_progress(3, 10, "packing")
        assert again(job).progress == (3, 10, 30, "packing")


# Data


def test_two_writers_of_different_keys_both_win():
    job = started_job()
    at_once([lambda n=n: again(job).data.update({f"key {n}": n}) for n in range(8)])
    assert again(job).data == {f"key {n}": n for n in range(8)}


def test_writers_of_one_key_leave_what_the_last_has_written():
    job = started_job()
    results = at_once([lambda n=n: again(job).data.update(key=n) for n in range(8)])
    assert results == [None] * 8 and again(job).data["key"] in range(8)


def test_a_key_can_be_deleted_and_the_others_stay(redis_client):
    job = create_job(data={"a": 1, "b": 2})
    del job.data["a"]
    assert again(job).data == {"b": 2}
    assert "data.a" not in hash_of(redis_client, job)


@hypothesis_settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY_TEXT, ANY_JSON)
def test_any_json_is_read_back_equal_by_another_process(key, value):
    job = create_job()
    job.data[key] = value
    assert again(job).data == {key: value}


@pytest.mark.parametrize("value", [float("nan"), (1,), object(), {1: 2}])
def test_a_value_that_is_not_json_is_refused_and_changes_nothing(redis_client, value):
    job = started_job(data={"parcel": "books"})
    before = hash_of(redis_client, job)
    with pytest.raises(UnserializableData, match="parcel"):
        job.data["parcel"] = value
    assert hash_of(redis_client, job) == before and job.data == {"parcel": "books"}


def test_the_sum_of_a_job_s_data_is_bounded(settings, redis_client):
    settings.JOBS = settings.JOBS | {"MAX_DATA": 100}
    job = started_job(data={"a": "x" * 40})
    again(job).data["b"] = "y" * 40
    with pytest.raises(UnserializableData, match="100 bytes"):
        job.data["c"] = "z" * 40
    job.data["a"] = "z"
    assert again(job).data == {"a": "z", "b": "y" * 40}


@pytest.mark.parametrize("state", [JobState.COMPLETE, JobState.FAILED])
def test_data_cannot_be_written_after_the_end_and_can_be_read_ever_after(state):
    job = ended_job(state, data={"parcel": "books"})
    for change in (lambda: job.data.update(x=1), lambda: job.data.pop("parcel")):
        with pytest.raises(JobEnded, match="has ended"):
            change()
    assert again(job).data == job.data == {"parcel": "books"}


def test_data_of_a_cancelled_job_cannot_be_written():
    job = started_job()
    job.end(JobState.CANCELLED)
    with pytest.raises(JobCancelled):
        job.data["x"] = 1


# Progress


def test_progress_is_what_was_said_last():
    job = started_job()
    job.set_progress(3, 10, "packing")
    assert again(job).progress == (3, 10, 30, "packing")


def test_who_says_how_far_it_is_can_read_it_at_once_though_not_every_call_is_written():
    job = started_job()
    job.set_progress(3, 10, "packing")
    job.set_progress(4, 10, "sending")
    assert job.progress == (4, 10, 40, "sending")
    job.end(JobState.CANCELLED)
    assert job.progress == again(job).progress


def test_progress_can_be_moved_on_from_where_it_is():
    job = started_job()
    job.set_progress(3, 10, "packing")
    job.increment_progress()
    job.increment_progress(2, "sending")
    job.increment_progress()
    eventually(lambda: again(job).progress.current == 7)
    assert again(job).progress == (7, 10, 70, "sending")


def test_of_thousands_of_calls_few_are_written_and_the_last_arrives():
    job = started_job()
    with capture_events() as frames:
        start = monotonic()
        for n in range(1, 5001):
            job.set_progress(n, 5000)
            while monotonic() < start + n / 10_000:
                pass
        eventually(lambda: frames and frames[-1]["job"]["progress"]["current"] == 5000)
        took = monotonic() - start
    assert event_names(frames) == ["progress"] * len(frames)
    assert 2 <= len(frames) <= took * 10 + 2
    assert frames[-1]["job"]["progress"] == {"current": 5000, "total": 5000, "percent": 99, "message": ""}


def test_the_last_progress_goes_along_with_the_end():
    job = started_job()
    for n in range(1, 11):
        job.set_progress(n, 10, str(n))
    with capture_events() as frames:
        job.complete()
    assert frames[0]["job"]["progress"] == {"current": 10, "total": 10, "percent": 100, "message": "10"}
    assert again(job).progress == (10, 10, 100, "10")


def test_progress_that_waits_is_not_lost_when_data_is_written():
    job = started_job()
    job.set_progress(1, 10)
    job.set_progress(10, 10, "the last")
    job.data["receipt"] = "sent"
    eventually(lambda: again(job).progress.current == 10, seconds=1)


def test_progress_that_is_said_while_another_is_being_written_is_not_lost(monkeypatch):
    job = started_job()
    really_write, said = Job._write, []

    def write(self, *args):
        if not said:
            said.append(self.set_progress(10, 10, "the last"))
        return really_write(self, *args)

    monkeypatch.setattr(Job, "_write", write)
    job.set_progress(1, 10)
    eventually(lambda: again(job).progress.current == 10, seconds=1)


def test_a_late_progress_call_leaves_no_connection_to_the_database(redis_client):
    opened = []

    def note(connection, **_):
        opened.append((threading.current_thread(), connection))

    job = started_job()
    job.set_progress(1, 10)
    redis_client.delete(store.job_key(job.id))  # so that the next write asks the archive
    connection_created.connect(note)
    job.set_progress(2, 10)
    eventually(lambda: opened and not opened[0][0].is_alive())
    assert [connection.connection for _thread, connection in opened] == [None]
    assert again(job).progress.current == 2


RUBBISH = [None, "half", -1, float("nan"), float("inf"), -math.inf, 10**400, object(), [], True, 1j]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda value: type(value).__name__)
def test_rubbish_for_a_number_does_not_fail_the_task(rubbish):
    job = started_job()
    job.set_progress(rubbish, 10, "packing")
    assert again(job).progress.percent in (0, 10)
    job = started_job()
    job.set_progress(3, rubbish)
    assert again(job).progress.percent in (None, 99)
    events.encode(events.job_object(again(job)))


def test_an_increment_by_rubbish_does_not_fail_the_task_either():
    job = started_job()
    job.increment_progress("half")
    assert again(job).state is JobState.RUNNING


@pytest.mark.parametrize(("current", "total", "percent"), [(10, 10, 99), (15, 10, 99), (3, 0, None), (3, -5, None)])
def test_percent_is_honest_or_none(current, total, percent):
    job = started_job()
    job.set_progress(current, total)
    assert again(job).progress.percent == percent


@pytest.mark.parametrize("message", ["x" * 100_000, "<script>\x00\u202e", "\ud800", 7, None])
def test_any_message_can_be_shown(message):
    job = started_job()
    job.set_progress(1, 2, message)
    note = again(job).progress.message
    assert len(note) <= 200 and json.loads(events.encode({"note": note}))["note"] == note


def test_progress_after_the_end_is_refused():
    job = ended_job()
    with pytest.raises(JobEnded):
        job.set_progress(1, 2)


def test_a_store_that_does_not_answer_does_not_stop_the_task(settings, caplog):
    job = started_job()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    job.set_progress(1, 2)
    assert f"job {job.id}: progress not written" in caplog.text


def test_progress_pauses_while_the_store_is_away_and_then_goes_on(settings, monkeypatch):
    monkeypatch.setattr("jobs.working.OUTAGE_PAUSE", 0.2)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    start = monotonic()
    for n in range(1, 1001):
        job.set_progress(n, 1000)
    assert monotonic() - start < 1
    settings.JOBS = here
    eventually(lambda: again(job).progress.current == 1000)


# Cancelling


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RETRYING])
def test_a_job_that_no_worker_has_is_cancelled_at_once(state):
    job = create_job()
    if state is JobState.RETRYING:
        job.start()
        job.retry(60)
    with capture_events() as frames:
        again(job).cancel()
    assert again(job).state is JobState.CANCELLED
    assert event_names(frames) == ["cancelled"]
    assert JobRecord.objects.get(pk=job.id).state == "cancelled"


def test_a_running_job_is_cancelled_by_its_next_progress_call():
    job = started_job()
    again(job).cancel()
    assert again(job).state is JobState.RUNNING and again(job).is_cancel_asked
    with pytest.raises(JobCancelled):
        job.set_progress(1)


def test_a_cancel_takes_effect_when_calls_are_throttled_too():
    job = started_job()
    job.set_progress(1)
    again(job).cancel()
    with pytest.raises(JobCancelled):
        for n in range(10_000_000):
            job.set_progress(n)


def test_cancelling_twice_is_harmless_and_cancelling_what_has_ended_is_refused():
    job = create_job()
    job.cancel()
    job.cancel()
    again(job).cancel()
    running = started_job()
    running.cancel()
    again(running).cancel()
    with pytest.raises(JobEnded):
        ended_job().cancel()


def test_a_cancel_and_a_completion_at_the_same_moment_make_one_end():
    job = create_job()
    at_once([again(job).cancel, again(job).complete])
    assert again(job).state in (JobState.CANCELLED, JobState.COMPLETE)
    assert JobRecord.objects.get(pk=job.id).state == again(job).state.value


def test_a_task_that_completes_although_it_was_asked_to_stop_is_complete():
    job = started_job()
    again(job).cancel()
    job.complete()
    assert again(job).state is JobState.COMPLETE


# Attempts


def test_a_redelivered_job_is_run_again_and_its_first_run_is_refused():
    first = started_job()
    second = again(first)
    second.start()
    assert second.attempt == 2
    for verb in (first.complete, lambda: first.data.update(x=1), lambda: first.set_progress(1)):
        with pytest.raises(JobEnded, match="attempt 1 was overtaken by 2"):
            verb()
    second.complete()
    assert again(first).state is JobState.COMPLETE


def test_a_new_attempt_starts_from_no_progress():
    job = started_job()
    job.set_progress(3, 10, "packing")
    again(job).start()
    assert again(job).progress == (0, None, None, "")


def test_a_retry_says_when_it_is_due_and_how_many_there_can_be():
    job = started_job()
    job.retry(30, max_attempts=4)
    known = again(job)
    assert (known.state, known.attempt, known.max_attempts) == (JobState.RETRYING, 1, 4)
    assert 29 < (known.retry_at - known.started_at).total_seconds() < 31
    again(job).start()
    assert again(job).attempt == 2 and again(job).retry_at is None


# Deadlines


def overdue(job):
    """Wait until the job's deadline has passed, and look at nothing but Redis."""
    eventually(lambda: store.read(job.id).now > store.read(job.id).record.deadline)


@pytest.fixture
def short_limits(settings):
    """Let deadlines pass within the test."""
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.05, "LOST_AFTER": 0.05}


@pytest.mark.parametrize(("make", "end"), [(create_job, JobState.EXPIRED), (started_job, JobState.LOST)])
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
    store.beat([job.id], 60)
    eventually(lambda: store.read(job.id).now > job.record.started_at + 60_000)
    assert again(job).state is JobState.RUNNING


def test_progress_puts_the_loss_of_a_job_off(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 5}
    job = started_job()
    before = store.read(job.id).record.deadline
    job.set_progress(1)
    assert store.read(job.id).record.deadline > before


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


def lost_job():
    """Return a job as its worker holds it, and as everybody else sees it: lost."""
    worker = started_job()
    overdue(worker)
    known = again(worker)
    assert known.state is JobState.LOST
    return worker, known


def test_a_lost_job_that_was_only_silent_may_still_complete(short_limits):
    worker, known = lost_job()
    with capture_events() as frames:
        worker.complete()
    assert again(known).state is JobState.COMPLETE and event_names(frames) == ["ready"]
    assert JobRecord.objects.get(pk=known.id).state == "complete"


@pytest.mark.parametrize("change", [lambda job: job.set_progress(1, 2), lambda job: job.data.update(x=1)])
def test_a_lost_job_comes_back_to_life_with_its_worker_s_next_word(short_limits, change):
    worker, known = lost_job()
    change(worker)
    assert worker.state is JobState.RUNNING and worker.ended_at is None


def test_a_lost_job_may_be_started_again(short_limits):
    _worker, known = lost_job()
    known.start()
    assert (known.state, known.attempt, known.ended_at) == (JobState.RUNNING, 2, None)


def test_a_lost_job_stays_lost_while_somebody_claims_it_and_ever_after(short_limits):
    worker, known = lost_job()
    assert known.lease(30)
    with pytest.raises(JobEnded):
        worker.complete()
    known.mark_claimed("/lost/")
    for verb in (worker.complete, again(known).start, lambda: worker.set_progress(1)):
        with pytest.raises(JobEnded):
            verb()
    assert (again(known).state, again(known).claimed_url) == (JobState.LOST, "/lost/")


def test_a_lost_job_whose_claim_did_not_work_out_may_complete_after_all(short_limits):
    worker, known = lost_job()
    assert known.lease(30)
    known.release()
    worker.complete()
    assert again(known).state is JobState.COMPLETE


# Leases


def test_one_of_many_gets_the_lease():
    job = ended_job()
    results = at_once([lambda: again(job).lease(30)] * 8)
    assert sorted(results) == [False] * 7 + [True]


def test_a_lease_that_is_given_back_or_has_passed_can_be_taken():
    job = ended_job()
    assert job.lease(30) and not again(job).lease(30)
    job.release()
    assert again(job).lease(0.01)
    eventually(lambda: again(job).lease(30))


def test_a_job_that_has_not_ended_or_was_claimed_cannot_be_leased():
    with pytest.raises(JobEnded, match="it is running"):
        started_job().lease(30)
    job = ended_job()
    job.mark_claimed("/parcels/")
    with pytest.raises(JobEnded, match="it is claimed"):
        again(job).lease(30)
    assert again(job).claimed_url == "/parcels/"


# Drafts


def draft(**data):
    return JobRepository().draft(None, "tests.handlers.PostHandler", "visitor:ann", [], data)


def test_a_draft_can_be_written_to_and_refuses_every_verb(redis_client):
    job = draft(parcel="books")
    job.data["weight"] = 3
    del job.data["parcel"]
    assert job.data == {"weight": 3} and job.is_draft
    assert job.get_absolute_url() == f"/jobs/{job.id}/"
    step = job.increment_progress
    for verb in (job.start, job.complete, lambda: job.fail("x"), job.cancel, lambda: job.set_progress(1), step, step):
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


def test_a_job_that_was_written_anew_is_listed_again_among_its_owner_s(redis_client):
    job = started_job()
    redis_client.flushall()
    job.set_progress(1, 2)
    assert [one.id for one in JobRepository().for_owner("visitor:ann")] == [job.id]


def test_a_record_is_written_anew_only_where_there_is_none(redis_client):
    job = started_job()
    assert not job.restore()
    redis_client.flushall()
    assert job.restore() and not job.restore()
    assert store.read(job.id).record.deadline > 0


def test_an_end_that_the_store_does_not_take_is_archived_and_written_later(settings, monkeypatch):
    def hang_up(**_):
        connections.close_all()  # of the backlog's thread, which does not (see test_backlog)

    monkeypatch.setattr(backlog, "PAUSE", 0.01)
    signals.job_ended.connect(hang_up)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    job.complete()
    assert job.state is JobState.COMPLETE
    assert JobRecord.objects.get(pk=job.id).state == "complete"
    assert again(job).state is JobState.COMPLETE  # from the archive
    settings.JOBS = here
    eventually(lambda: store.read(job.id).record.state is JobState.COMPLETE)
    eventually(lambda: not backlog.backlog()._is_running)
    signals.job_ended.disconnect(hang_up)


def test_a_store_that_is_away_is_an_error_to_who_does_not_run_the_job(settings):
    job = again(started_job())
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    for verb in (lambda: job.end(JobState.COMPLETE), job.cancel, job.start, lambda: job.data.update(x=1)):
        with pytest.raises(StoreUnavailable):
            verb()


def test_an_outcome_in_the_archive_is_what_an_overdue_job_becomes(short_limits, redis_client):
    job = started_job()
    JobRecord.objects.store(job.record.replace(state=JobState.COMPLETE, ended_at=job.version, version=job.version + 1))
    overdue(job)
    assert again(job).state is JobState.COMPLETE


# Damage


@pytest.mark.parametrize("field", [{"version": "soon"}, {"version": str(10**16)}, {"state": "done"}, {"tags": "["}])
def test_a_damaged_job_is_failed_and_refuses_every_change_without_trying_for_long(redis_client, caplog, field):
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
    assert len(commands(redis_client, lambda: again(job).mark_claimed("/x/"))) < 10
    assert len(caplog.records) < 10


# Detached jobs


def test_a_detached_job_keeps_to_itself(redis_client):
    job = DetachedJob(Record("plain", JobState.RUNNING))
    job.data["x"] = 1
    job.set_progress(3, 10)
    job.increment_progress()
    job.complete()
    assert (job.state, dict(job.data)) == (JobState.COMPLETE, {"x": 1})
    assert redis_client.dbsize() == 0
    with pytest.raises(JobEnded):
        job.complete()
    with pytest.raises(JobEnded):
        job.data["y"] = 2


def test_a_detached_job_can_be_cancelled_by_its_own_task():
    job = DetachedJob(Record("plain", JobState.RUNNING))
    job.cancel()
    with pytest.raises(JobCancelled):
        job.set_progress(1)


def test_a_job_s_handler_is_told_about_it():
    job = create_job()
    assert job.handler.job is job


def test_the_last_progress_is_kept_though_data_is_written_before_its_time_has_come():
    job = started_job()
    job.set_progress(1, 10, "first")
    job.set_progress(10, 10, "last")  # too soon to be sent by itself
    job.data["was_it_nice"] = "yes_it_was"
    job.complete()
    assert (again(job).progress.current, again(job).progress.message) == (10, "last")
