"""What the process that runs a job's task says of it: data and progress."""

import json
import math
import threading
from time import monotonic

import pytest
from django.db.backends.signals import connection_created
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from jobs.exceptions import (
    JobCancelled,
    JobEnded,
    UnserializableData,
)
from jobs.push import frames
from jobs.states import JobState
from jobs.store import keys, records
from jobs.testing import capture_events
from tests.core.test_data import ANY_JSON, ANY_TEXT
from tests.factories import (
    NOWHERE,
    again,
    at_once,
    create_job,
    ended_job,
    event_names,
    eventually,
    hash_of,
    started_job,
)

pytestmark = pytest.mark.usefixtures("database_file")

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
def test_data_is_read_only_after_the_end(state):
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


def test_the_task_reads_its_progress_before_it_is_written():
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
    assert frames[-1]["job"]["progress"] == {
        "current": 5000,
        "total": 5000,
        "percent": 99,
        "message": "",
    }


def test_the_last_progress_goes_along_with_the_end():
    job = started_job()
    for n in range(1, 11):
        job.set_progress(n, 10, str(n))
    with capture_events() as frames:
        job.complete()
    assert frames[0]["job"]["progress"] == {
        "current": 10,
        "total": 10,
        "percent": 100,
        "message": "10",
    }
    assert again(job).progress == (10, 10, 100, "10")


def test_progress_that_waits_is_not_lost_when_data_is_written():
    job = started_job()
    job.set_progress(1, 10)
    job.set_progress(10, 10, "the last")
    job.data["receipt"] = "sent"
    eventually(lambda: again(job).progress.current == 10, seconds=1)


def test_progress_that_is_said_while_another_is_being_written_is_not_lost(monkeypatch):
    job = started_job()
    really_write, said = records.write, []

    def write(*args):
        if not said:
            said.append(job.set_progress(10, 10, "the last"))
        return really_write(*args)

    monkeypatch.setattr(records, "write", write)
    job.set_progress(1, 10)
    eventually(lambda: again(job).progress.current == 10, seconds=1)


def test_a_late_progress_call_leaves_no_connection_to_the_database(redis_client):
    opened = []

    def note(connection, **_):
        opened.append((threading.current_thread(), connection))

    job = started_job()
    job.set_progress(1, 10)
    redis_client.delete(keys.job_key(job.id))  # so that the next write asks the archive
    connection_created.connect(note)
    job.set_progress(2, 10)
    eventually(lambda: opened and not opened[0][0].is_alive())
    assert [connection.connection for _thread, connection in opened] == [None]
    assert again(job).progress.current == 2


RUBBISH = [
    None,
    "half",
    -1,
    float("nan"),
    float("inf"),
    -math.inf,
    10**400,
    object(),
    [],
    True,
    1j,
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda value: type(value).__name__)
def test_rubbish_for_a_number_does_not_fail_the_task(rubbish):
    job = started_job()
    job.set_progress(rubbish, 10, "packing")
    assert again(job).progress.percent in (0, 10)
    job = started_job()
    job.set_progress(3, rubbish)
    assert again(job).progress.percent in (None, 99)
    frames.encode(frames.job_object(again(job)))


def test_an_increment_by_rubbish_does_not_fail_the_task_either():
    job = started_job()
    job.increment_progress("half")
    assert again(job).state is JobState.RUNNING


@pytest.mark.parametrize(
    ("current", "total", "percent"), [(10, 10, 99), (15, 10, 99), (3, 0, None), (3, -5, None)]
)
def test_percent_is_honest_or_none(current, total, percent):
    job = started_job()
    job.set_progress(current, total)
    assert again(job).progress.percent == percent


@pytest.mark.parametrize("message", ["x" * 100_000, "<script>\x00\u202e", "\ud800", 7, None])
def test_any_message_can_be_shown(message):
    job = started_job()
    job.set_progress(1, 2, message)
    note = again(job).progress.message
    assert len(note) <= 200 and json.loads(frames.encode({"note": note}))["note"] == note


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
    monkeypatch.setattr("jobs.lifecycle.progress.OUTAGE_PAUSE", 0.2)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    start = monotonic()
    for n in range(1, 1001):
        job.set_progress(n, 1000)
    assert monotonic() - start < 1
    settings.JOBS = here
    eventually(lambda: again(job).progress.current == 1000)


def test_a_data_write_does_not_lose_throttled_progress():
    job = started_job()
    job.set_progress(1, 10, "first")
    job.set_progress(10, 10, "last")  # too soon to be sent by itself
    job.data["was_it_nice"] = "yes_it_was"
    job.complete()
    assert (again(job).progress.current, again(job).progress.message) == (10, "last")
