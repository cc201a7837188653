"""A request in the worker's parent sees how a process of the worker dies."""

import pickle

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.exceptions import Ignore, Retry, TimeLimitExceeded
from celery.utils.imports import symbol_by_name

from jobs.queues.celery.heartbeat import Heart, heart
from jobs.queues.celery.request import JobRequest
from jobs.states import JobState
from tests.factories import again, eventually
from tests.tasks import send_parcel

from .played_parent import after_the_parent_thread, run_by

pytestmark = pytest.mark.usefixtures("database_file")


def info_of(error, from_the_child=False):
    """Return an error as the request gets it: raised in the parent, or sent by a child."""
    try:
        raise error
    except type(error):
        info = ExceptionInfo()
    return pickle.loads(pickle.dumps(info)) if from_the_child else info  # noqa: S301


def test_a_request_knows_whether_somebody_waits(received):
    job, request = received()
    assert request.job_id == job.id
    assert received(plain=True)[1].job_id == ""


def test_celery_uses_this_request_for_tasks_with_jobs():
    assert symbol_by_name(send_parcel.Request) is JobRequest


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (WorkerLostError("signal 9"), "The work was interrupted before it was done."),
        (TimeLimitExceeded(5), "The work took too long and was stopped."),
    ],
)
def test_a_job_whose_process_has_died_fails(received, error, text):
    job, request = received()
    run_by(request, job)
    request.on_failure(info_of(error))
    assert eventually(lambda: again(job).is_ended)
    assert (again(job).state, again(job).error) == ("failed", text)


def test_an_end_that_the_task_has_written_stays(received):
    job, request = received()
    run_by(request, job).end(JobState.FAILED, "too heavy")
    request.on_failure(info_of(RuntimeError("too heavy"), from_the_child=True))
    assert after_the_parent_thread(lambda: again(job).error) == "too heavy"


def test_a_job_whose_task_will_run_again_goes_on(received):
    job, request = received()
    run_by(request, job)
    request.on_failure(info_of(Retry("later"), from_the_child=True))
    assert after_the_parent_thread(lambda: again(job).state) is JobState.RUNNING


def test_a_job_whose_message_went_back_to_the_queue_goes_on(received, monkeypatch):
    job, request = received()
    run_by(request, job)
    monkeypatch.setattr(request, "_on_reject", lambda *_args: None)
    request.reject(requeue=True)
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert after_the_parent_thread(lambda: again(job).state) is JobState.RUNNING


def test_the_death_of_a_process_ends_only_its_own_attempt(received):
    job, request = received()
    run_by(request, job)
    again(job).start("another@there/1", instead_of=request.runner)
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert after_the_parent_thread(lambda: again(job).state) is JobState.RUNNING


def test_a_process_that_dies_before_it_starts_its_job_fails_it(received):
    job, request = received()
    request.worker_pid = 4711
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert eventually(lambda: again(job).state is JobState.FAILED)


def test_the_death_of_a_plain_task_stores_nothing(received, redis_client):
    _job, request = received(plain=True)
    redis_client.flushall()
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert after_the_parent_thread(redis_client.dbsize) == 0


def test_an_ignored_task_does_not_end_its_job_again(received):
    job, request = received()
    run_by(request, job).end(JobState.CANCELLED)
    request.on_failure(info_of(Ignore(), from_the_child=True))
    assert after_the_parent_thread(lambda: again(job).state) is JobState.CANCELLED


def test_a_task_that_is_ignored_before_it_starts_has_failed(received):
    job, request = received()
    request.worker_pid = 4711
    request.on_failure(info_of(Ignore(), from_the_child=True))
    assert eventually(lambda: again(job).state is JobState.FAILED)


def test_a_job_that_was_handed_over_outlives_its_first_run(received):
    job, request = received()
    run_by(request, job).hand_over()
    again(job).start(request.runner)  # the same process has the replacement already
    request.on_failure(info_of(Ignore(), from_the_child=True))
    assert after_the_parent_thread(lambda: again(job).state) is JobState.RUNNING


def test_the_heart_starts_with_the_first_job_not_with_a_plain_task(received, monkeypatch):
    started = []
    monkeypatch.setattr(Heart, "start", lambda self: started.append(self))
    _none, plain = received(plain=True)
    plain.on_accepted(4711, 0.0)
    assert started == []
    _job, request = received()
    request.on_accepted(4711, 0.0)
    assert started == [heart()]
