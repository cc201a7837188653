"""A run ends its job as its task ends, and a cancel ends the run."""

import logging
import re
import threading

import pytest
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.contrib.auth.models import Group
from django.utils.translation import override

from jobs.exceptions import (
    JobCancelled,
    JobEnded,
)
from jobs.models import JobRecord
from jobs.runtime.backlog import Backlog
from jobs.states import JobState
from jobs.testing import cancel_at_start, capture_events, run_job
from tests.factories import (
    again,
    annas,
    create_job,
    eventually,
    started_job,
)
from tests.tasks import (
    deliver,
    end_inside_a_transaction,
    pass_a_coroutine_on,
    remember_language,
    send_parcel,
    stumble,
    try_again,
    wait_for_cancel,
)

from .test_current_run import task_of

pytestmark = pytest.mark.usefixtures("database_file", "runs")


# How a run ends


def test_a_task_that_returns_completes_its_job(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    with capture_events() as frames:
        deliver(broker())
    known = again(job)
    assert (known.state, known.attempt, runs) == ("complete", 1, ["books"])
    assert known.data == {"parcel": "books", "receipt": "books sent"}
    assert known.progress == (1, 2, 100, "books")
    assert [frame["event"] for frame in frames] == ["started", "progress", "ready"]


def test_outcome_and_data_are_read_by_another_process_after_redis_was_emptied(
    broker, redis_client
):
    job = send_parcel.start_job(annas(), parcel="books")
    deliver(broker())
    redis_client.flushall()
    assert (again(job).state, again(job).data["receipt"]) == ("complete", "books sent")


def test_the_text_of_a_job_error_is_shown_to_the_owner(broker):
    job = send_parcel.start_job(annas(), parcel="stones", weight=99)
    deliver(broker())
    assert (again(job).state, again(job).error) == ("failed", "stones is too heavy.")


def test_any_other_error_is_a_neutral_sentence_with_a_reference(broker, caplog):
    job = stumble.start_job(annas(), secret="hunter2")
    message = broker()
    with capture_events() as frames:
        deliver(message)
    error = again(job).error
    reference = re.search(r"give this reference: ([0-9a-f]{8})\.", error)[1]
    assert f"job {job.id} failed (reference {reference})" in caplog.text
    assert "could not log in with hunter2" in caplog.text
    told = f"{frames} {JobRecord.objects.get(pk=job.id).stored['error']} {error}"
    assert reference in told and "log in" not in told


def test_a_soft_time_limit_has_an_error_text_of_its_own(broker, monkeypatch):
    def run(*_args, **_kwargs):
        raise SoftTimeLimitExceeded

    job = stumble.start_job(annas(), secret="x")
    monkeypatch.setattr(stumble, "run", run)
    deliver(broker())
    assert again(job).error == "The work took too long and was stopped."


def test_the_job_s_language_is_active_in_the_task(broker):
    with override("de"):
        job = remember_language.start_job(annas())
    deliver(broker())
    assert again(job).data["language"] == "de"


def test_a_job_completed_in_a_transaction_is_ready_with_its_rows(broker):
    job = end_inside_a_transaction.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.COMPLETE and Group.objects.exists()


def test_a_job_whose_transaction_is_rolled_back_has_failed(broker):
    job = end_inside_a_transaction.start_job(annas(), roll_back=True)
    deliver(broker())
    assert again(job).state is JobState.FAILED and not Group.objects.exists()


def test_a_retry_waits_with_its_job_and_goes_on(broker, runs):
    job = try_again.start_job(annas(), countdown=30)
    deliver(broker())
    known = again(job)
    assert (known.state, known.attempt, known.max_attempts) == ("retrying", 1, 3)
    assert 29 < (known.retry_at - known.started_at).total_seconds() < 31
    for _ in range(2):
        deliver(broker())
    assert runs == ["try"] * 3 and broker() is None
    assert again(job).state is JobState.FAILED and again(job).attempt == 3


def test_a_task_that_returns_a_coroutine_has_failed(broker, caplog):
    job = pass_a_coroutine_on.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.FAILED and "which has never run" in caplog.text


def test_a_late_end_of_a_task_is_logged_and_not_raised(caplog, broker, monkeypatch):
    job = send_parcel.start_job(annas(), parcel="books")

    def run(*_args, **_kwargs):
        again(job).end(JobState.CANCELLED)

    monkeypatch.setattr(send_parcel, "run", run)
    caplog.set_level(logging.WARNING)
    deliver(broker())
    assert again(job).state is JobState.CANCELLED and "too late" in caplog.text


def test_a_task_that_requeues_its_message_waits_for_another_attempt(broker):
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


def test_a_task_that_was_cancelled_stops_at_its_next_progress_call(broker, runs):
    job = wait_for_cancel.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.CANCELLED and again(job).error == ""
    assert runs == ["cancelled meanwhile"]


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


def test_a_cancel_between_a_retry_and_its_record_cancels_the_job():
    job = started_job()
    again(job).cancel()
    job.retry(30)
    assert again(job).state is job.state is JobState.CANCELLED


def test_a_plain_task_that_cancels_itself_is_ignored_and_ends_no_process(broker):
    @task_of
    def work(self):
        self.job.cancel()
        self.job.set_progress(1)

    work.delay()
    assert isinstance(deliver(broker()).retval.exception.exc, Ignore)


def test_a_cancel_stops_only_the_run_others_get_an_ordinary_error():
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


def test_a_cancel_found_by_the_timer_is_raised_by_the_next_call(settings):
    settings.JOBS = settings.JOBS | {"PROGRESS_PER_SECOND": 1}  # the cancel takes less than that
    job = started_job()
    job.set_progress(1, 9)
    again(job).cancel()
    job.set_progress(2, 9)  # written by the timer's thread
    eventually(lambda: job._progress._stop is not None)
    for _ in range(3):
        with pytest.raises(JobCancelled) as error:
            job.set_progress(3, 9)
        assert len(error.traceback) < 6  # it does not grow
