"""A message starts its job, is put back, or is dropped."""

import os
import subprocess
import sys
import threading
from datetime import datetime

import pytest

from jobs.queues.celery.headers import HEADER
from jobs.states import JobState
from jobs.store import keys, records
from jobs.testing import advance_clock, capture_events
from tests.factories import (
    NOWHERE,
    OWNER,
    again,
    annas,
    commands,
    eventually,
    hash_of,
)
from tests.tasks import (
    carry,
    deliver,
    send_parcel,
    try_again,
)

from .test_current_run import task_of

pytestmark = pytest.mark.usefixtures("database_file", "runs")


THERE = "another@there"


def held_by(job, runner):
    """Let a runner start the job, and return what the store then holds."""
    again(job).start(runner)
    return records.read(job.id).record


def countdown_of(message):
    due = datetime.fromisoformat(message.headers["eta"])
    return (due - datetime.now(due.tzinfo)).total_seconds()


# What the worker starts


@pytest.mark.parametrize(
    "end", [JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED]
)
def test_a_message_whose_job_has_ended_runs_nothing(broker, runs, end):
    job = send_parcel.start_job(annas(), parcel="books")
    again(job).end(end)
    deliver(broker())
    assert runs == [] and again(job).state is end


def test_a_message_that_comes_after_the_deadline_runs_nothing(broker, runs, settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.01}
    job = send_parcel.start_job(annas(), parcel="books")
    eventually(lambda: records.read(job.id).now > records.read(job.id).record.deadline)
    deliver(broker())
    assert runs == [] and again(job).state is JobState.EXPIRED


def test_the_same_message_delivered_twice_has_one_outcome(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    message = broker()
    with capture_events() as frames:
        deliver(message)
        deliver(message)
    assert runs == ["books"] and again(job).attempt == 1
    assert [frame["event"] for frame in frames].count("ready") == 1


def test_a_redelivered_task_starts_another_attempt(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    again(job).start()  # by a worker that was killed
    deliver(broker())
    assert (again(job).state, again(job).attempt, runs) == ("complete", 2, ["books"])


@pytest.mark.parametrize(
    ("task", "kwargs", "most"),
    [(send_parcel, {"parcel": "x"}, 4), (try_again, {"countdown": 1}, 3)],
)
def test_a_task_that_keeps_killing_its_process_fails(broker, runs, task, kwargs, most):
    job = task.start_job(annas(), **kwargs)
    for _ in range(most):
        again(job).start()
    deliver(broker())
    assert again(job).state is JobState.FAILED and runs == []
    assert again(job).error == "The work was interrupted again and again."


def test_a_record_lost_before_the_start_is_restored_from_the_message(broker, redis_client, runs):
    job = send_parcel.submit_job(
        annas(), ["books"], {"weight": 3}, data={"weight": 3, "x": [1]}, tags=["post"]
    )
    before, message = hash_of(redis_client, job), broker()
    redis_client.flushall()
    deliver(message)
    known = again(job)
    assert (known.state, known.owner, known.tags, runs) == (
        "complete",
        OWNER,
        ("post",),
        ["books"],
    )
    assert known.data == {"weight": 3, "x": [1], "receipt": "books sent"}
    assert known.version > int(before["version"])


def test_f04_a_task_runs_without_large_data_that_redis_has_lost(broker, redis_client, runs):
    data = {"weight": 3, "text": "x" * 100_000}
    job = send_parcel.submit_job(annas(), ["books"], {"weight": 3}, data=data, tags=["post"])
    message = broker()
    redis_client.flushall()
    deliver(message)
    known = again(job)
    assert (known.state, known.owner, known.tags, runs) == (
        "complete",
        OWNER,
        ("post",),
        ["books"],
    )
    assert known.data == {"weight": 3, "receipt": "books sent"}


@pytest.mark.parametrize(("size", "reads"), [(10, 0), (100_000, 1)])
def test_a_worker_reads_a_job_only_if_its_message_is_partial(broker, redis_client, size, reads):
    carry.submit_job(annas(), data={"text": "x" * size})
    message = broker()
    assert commands(redis_client, lambda: deliver(message)).count("HGETALL") == reads


def test_a_late_message_runs_the_job_with_its_newer_data(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    again(job).data["weight"] = 3
    deliver(broker())
    assert (
        again(job).data["weight"] == 3
        and again(job).state is JobState.COMPLETE
        and runs == ["books"]
    )


@pytest.mark.parametrize("end", [JobState.COMPLETE, JobState.CANCELLED])
def test_a_message_runs_nothing_if_only_the_archive_knows_the_end(broker, redis_client, runs, end):
    job = send_parcel.start_job(annas(), parcel="books")
    backup = redis_client.hgetall(keys.job_key(job.id))
    again(job).end(end)
    redis_client.hset(keys.job_key(job.id), mapping=backup)  # restored from an old backup
    deliver(broker())
    assert runs == [] and again(job).state is end


@pytest.mark.parametrize("damage", [{"version": "soon"}, {"state": '"ready"'}, {"tags": "post"}])
def test_a_damaged_header_does_not_stop_the_task(broker, runs, damage):
    job = send_parcel.start_job(annas(), parcel="books")
    message = broker()
    message.headers[HEADER]["record"] |= damage
    deliver(message)
    assert runs == ["books"] and again(job).state is JobState.COMPLETE


def test_a_message_is_put_back_while_the_store_is_down(broker, settings, runs):
    job, here = send_parcel.start_job(annas(), parcel="books"), settings.JOBS
    message = broker()
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    deliver(message)
    settings.JOBS = here
    assert runs == []
    back = broker()
    assert back.headers["id"] == job.id and back.headers["eta"]
    deliver(back)
    assert runs == ["books"] and again(job).state is JobState.COMPLETE


# A second delivery


def test_f49_a_second_delivery_waits_while_the_first_attempt_lives(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    before = held_by(job, f"{THERE}/1")
    deliver(broker())
    assert runs == [] and records.read(job.id).record == before
    back = broker()
    assert back.headers["id"] == job.id and broker() is None
    assert 0 < countdown_of(back) < 45


def test_f49_second_deliveries_never_count_as_deaths(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"{THERE}/1")
    for _ in range(10):
        deliver(broker())
    advance_clock(46, job)  # the first worker has died after all
    deliver(broker())
    assert runs == ["books"] and broker() is None
    assert (again(job).state, again(job).attempt) == ("complete", 2)


def test_f49_a_second_delivery_to_a_job_that_has_ended_is_dropped(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"{THERE}/1")
    deliver(broker())
    again(job).end(JobState.COMPLETE)
    deliver(broker())
    assert runs == [] and broker() is None


def test_f49_two_threads_of_one_worker_do_not_run_a_job_twice(broker):
    started, gate, ran = threading.Event(), threading.Event(), []

    @task_of
    def work(self):
        ran.append(self.job.attempt)
        started.set()
        assert gate.wait(10)

    job = work.start_job(annas())
    message = broker()
    first = threading.Thread(target=deliver, args=[message])
    first.start()
    assert started.wait(10)
    deliver(message)
    gate.set()
    first.join(10)
    assert ran == [1] and again(job).state is JobState.COMPLETE
    deliver(broker())
    assert ran == [1] and broker() is None


def test_a_dead_process_gives_way_to_another_of_its_worker_at_once(broker, runs):
    dead = subprocess.Popen([sys.executable, "-c", ""])  # noqa: S603
    dead.wait(20)
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"worker@here/{dead.pid}")
    deliver(broker())
    assert runs == ["books"] and again(job).attempt == 2


def test_a_living_process_does_not_give_way_to_another_of_its_worker(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"worker@here/{os.getppid()}")
    deliver(broker())
    assert runs == [] and again(job).attempt == 1


def test_a_message_is_put_back_for_less_than_the_visibility_timeout(
    broker,
    monkeypatch,
):
    options = send_parcel.app.conf.broker_transport_options
    monkeypatch.setitem(options, "visibility_timeout", 4)
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"{THERE}/1")
    deliver(broker())
    assert 1 < countdown_of(broker()) <= 2


def test_a_task_that_died_before_its_cancel_does_not_run_again(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    again(job).start()
    again(job).cancel()
    deliver(broker())
    assert runs == [] and again(job).state is JobState.CANCELLED
