"""One attempt in a worker: a second delivery waits for the first, and a cancel ends the run whatever the task does."""

import os
import subprocess
import sys
import threading
from datetime import datetime

import pytest
from celery.exceptions import Ignore, Reject

from jobs.exceptions import JobCancelled, JobEnded
from jobs.runtime.backlog import Backlog
from jobs.states import JobState
from jobs.store import records
from jobs.testing import advance_clock, cancel_at_start, run_job
from tests.factories import again, annas, create_job, eventually, started_job
from tests.tasks import deliver, send_parcel, try_again

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


# Delivered again


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


def test_a_process_that_died_gives_way_at_once_to_another_of_its_worker(broker, runs):
    dead = subprocess.Popen([sys.executable, "-c", ""])  # noqa: S603
    dead.wait(20)
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"worker@here/{dead.pid}")
    deliver(broker())
    assert runs == ["books"] and again(job).attempt == 2


def test_a_process_that_lives_does_not_give_way_to_another_of_its_worker(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"worker@here/{os.getppid()}")
    deliver(broker())
    assert runs == [] and again(job).attempt == 1


def test_a_message_is_put_back_for_less_than_a_redis_takes_to_deliver_it_twice(
    broker,
    monkeypatch,
):
    options = send_parcel.app.conf.broker_transport_options
    monkeypatch.setitem(options, "visibility_timeout", 4)
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, f"{THERE}/1")
    deliver(broker())
    assert 1 < countdown_of(broker()) <= 2


def test_a_task_that_rejects_its_message_for_another_try_waits_for_it(broker):
    @task_of
    def work(self):
        raise Reject("not here", requeue=True)

    job = work.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.RETRYING


@pytest.mark.parametrize("error", [Ignore, Reject])
def test_a_task_that_gives_up_in_celery_s_own_way_has_failed(error):
    @task_of
    def work(self):
        raise error

    job = run_job(work)
    assert (job.state, job.error) == ("failed", "The work was interrupted before it was done.")


# Cancels


def test_f52_a_cancel_passes_by_code_that_skips_bad_items():
    done = []

    @task_of
    def work(self):
        for item in range(3):
            try:
                self.job.set_progress(item, 3)
                done.append(item)
            except Exception:
                done.append("skipped")

    with cancel_at_start():
        assert run_job(work).state == "cancelled"
    assert done == []


def test_f52_a_retry_decorator_does_not_try_a_cancelled_task_again():
    tries = []

    @task_of
    def work(self):
        for _ in range(3):
            try:
                tries.append("try")
                return self.job.set_progress(1, 2)
            except Exception:
                tries.append("failed")

    with cancel_at_start():
        assert run_job(work).state == "cancelled"
    assert tries == ["try"]


def test_f52_a_retry_after_a_cancel_was_asked_sends_nothing(broker):
    job = try_again.start_job(annas(), countdown=30)
    with cancel_at_start():
        deliver(broker())
    assert again(job).state is JobState.CANCELLED and broker() is None


def test_a_cancel_that_comes_between_the_retry_and_its_record_cancels_the_job():
    job = started_job()
    again(job).cancel()
    job.retry(30)
    assert again(job).state is job.state is JobState.CANCELLED


def test_a_task_that_died_before_it_heard_of_its_cancel_does_not_run_again(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    held_by(job, "")
    again(job).cancel()
    deliver(broker())
    assert runs == [] and again(job).state is JobState.CANCELLED


def test_a_plain_task_that_cancels_itself_is_ignored_and_ends_no_process(broker):
    @task_of
    def work(self):
        self.job.cancel()
        self.job.set_progress(1)

    work.delay()
    assert isinstance(deliver(broker()).retval.exception.exc, Ignore)


def test_only_the_run_itself_is_stopped_by_a_cancel_others_get_an_ordinary_error():
    job = started_job()
    again(job).cancel()
    for write in (lambda: again(job).set_progress(1), lambda: again(job).increment_progress()):
        with pytest.raises(JobEnded, match="asked to stop"):
            write()
    with pytest.raises(JobCancelled):
        job.set_progress(1)
    ended = create_job()
    ended.cancel()
    with pytest.raises(JobEnded):
        again(ended).data["x"] = 1


def test_a_late_write_that_meets_a_cancel_does_not_stop_the_backlog():
    backlog, done = Backlog(), threading.Event()

    def cancelled():
        raise JobCancelled("asked to stop")

    backlog.add(cancelled)
    backlog.add(done.set)
    assert done.wait(5)
    eventually(lambda: not backlog._is_running)


def test_a_cancel_that_a_late_progress_write_meets_is_raised_by_the_next_call():
    job = started_job()
    job.set_progress(1, 9)
    again(job).cancel()
    job.set_progress(2, 9)  # written by the timer's thread
    eventually(lambda: job._progress._stop is not None)
    for _ in range(3):
        with pytest.raises(JobCancelled) as error:
            job.set_progress(3, 9)
        assert len(error.traceback) < 6  # it does not grow
