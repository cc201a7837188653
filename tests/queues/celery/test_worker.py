"""What the worker's parent process does for jobs: it sees deaths, revokes, and keeps the heart beating."""

import pickle
import threading
from types import SimpleNamespace

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import signals as celery_signals
from celery.exceptions import Ignore, Retry, TimeLimitExceeded
from celery.worker import state as worker_state

from jobs.exceptions import StoreUnavailable
from jobs.queues.celery import worker
from jobs.queues.celery.worker import Heart, JobRequest
from jobs.runtime.backlog import backlog
from jobs.runtime.per_process import forget_all
from jobs.states import JobState
from jobs.store import records
from project.celery import app
from tests.factories import NOWHERE, again, create_job, eventually, hash_of, plant, started_job
from tests.surroundings import database_file  # noqa: F401 - a fixture
from tests.tasks import send_parcel

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture(autouse=True)
def settled_executor(request):
    """Let the parent's thread finish what a test has given it, while the test's database is there."""
    request.getfixturevalue("database_file")
    yield
    worker._executor().shutdown()
    forget_all()
    worker_state.active_requests.clear()  # else a heart beats for them in all later tests


@pytest.fixture
def received():
    """Return a function that gives the parent's request of a task, as received from the queue."""
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:

        def receive(plain=False, **options):
            if plain:
                send_parcel.delay("books")
                job = None
            else:
                job = send_parcel.submit_job(None, ["books"], **options)
            message = queue.get(timeout=3)
            message.ack()
            request = JobRequest(message, app=app, task=send_parcel, hostname="worker@here")
            return job, request

        yield receive


def info_of(error, from_the_child=False):
    """Return an error as Celery hands it to the request: as it was raised in the parent, or sent by the child."""
    try:
        raise error
    except type(error):
        info = ExceptionInfo()
    return pickle.loads(pickle.dumps(info)) if from_the_child else info  # noqa: S301


def run_by(request, job, pid=4711):
    """Let a process of the worker start the job."""
    request.worker_pid = pid
    running = again(job)
    running.start(request.runner)
    return running


def after_the_parent_s_thread(look):
    """Wait until the parent's thread has done what it was given, then look."""
    worker._executor().submit(lambda: None).result(5)
    return look()


def test_a_request_knows_whether_somebody_waits(received):
    job, request = received()
    assert request.job_id == job.id
    assert received(plain=True)[1].job_id == ""


def test_the_worker_uses_it_for_tasks_with_jobs():
    from celery.utils.imports import symbol_by_name

    assert symbol_by_name(send_parcel.Request) is JobRequest


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (WorkerLostError("signal 9"), "The work was interrupted before it was done."),
        (TimeLimitExceeded(5), "The work took too long and was stopped."),
    ],
)
def test_a_job_whose_process_has_died_has_failed(received, error, text):
    job, request = received()
    run_by(request, job)
    request.on_failure(info_of(error))
    assert eventually(lambda: again(job).is_ended)
    assert (again(job).state, again(job).error) == ("failed", text)


def test_an_end_that_the_task_has_written_stays(received):
    job, request = received()
    run_by(request, job).end(JobState.FAILED, "too heavy")
    request.on_failure(info_of(RuntimeError("too heavy"), from_the_child=True))
    assert after_the_parent_s_thread(lambda: again(job).error) == "too heavy"


def test_a_job_whose_task_will_run_again_goes_on(received):
    job, request = received()
    run_by(request, job)
    request.on_failure(info_of(Retry("later"), from_the_child=True))
    assert after_the_parent_s_thread(lambda: again(job).state) is JobState.RUNNING


def test_a_job_whose_message_went_back_to_the_queue_goes_on(received, monkeypatch):
    job, request = received()
    run_by(request, job)
    monkeypatch.setattr(request, "_on_reject", lambda *_args: None)
    request.reject(requeue=True)
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert after_the_parent_s_thread(lambda: again(job).state) is JobState.RUNNING


def test_the_death_of_a_process_ends_only_the_attempt_that_it_had(received):
    job, request = received()
    run_by(request, job)
    again(job).start("another@there/1", instead_of=request.runner)
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert after_the_parent_s_thread(lambda: again(job).state) is JobState.RUNNING


def test_a_process_that_died_before_it_could_start_its_job_fails_it(received):
    job, request = received()
    request.worker_pid = 4711
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert eventually(lambda: again(job).state is JobState.FAILED)


def test_the_death_of_a_plain_task_s_process_is_nobody_s_business(received, redis_client):
    _job, request = received(plain=True)
    redis_client.flushall()
    request.on_failure(info_of(WorkerLostError("signal 9")))
    assert after_the_parent_s_thread(redis_client.dbsize) == 0


def test_a_task_that_was_ignored_is_no_death(received):
    job, request = received()
    run_by(request, job).end(JobState.CANCELLED)
    request.on_failure(info_of(Ignore(), from_the_child=True))
    assert after_the_parent_s_thread(lambda: again(job).state) is JobState.CANCELLED


@pytest.mark.parametrize(("expired", "end"), [(False, "cancelled"), (True, "expired")])
def test_a_task_that_was_revoked_or_came_too_late_ends_its_job(expired, end):
    job = create_job()
    request = SimpleNamespace(id=job.id, headers={"jobs": {"kwargs": []}})
    celery_signals.task_revoked.send(
        sender=send_parcel, request=request, terminated=False, expired=expired
    )
    assert eventually(lambda: again(job).state.value == end)


def test_f49_a_second_delivery_that_comes_too_late_does_not_end_the_first_attempt():
    job = create_job()
    job.start("worker@here/1")
    request = SimpleNamespace(id=job.id, headers={"jobs": {"kwargs": []}})
    celery_signals.task_revoked.send(sender=send_parcel, request=request, expired=True)
    message = SimpleNamespace(headers=request.headers)
    celery_signals.task_unknown.send(sender=None, message=message, exc=None, name="x", id=job.id)
    assert after_the_parent_s_thread(lambda: again(job).state) is JobState.RUNNING


def test_a_retry_that_comes_too_late_ends_its_job():
    job = started_job()
    job.retry(0)
    request = SimpleNamespace(id=job.id, headers={"jobs": {"kwargs": []}})
    celery_signals.task_revoked.send(sender=send_parcel, request=request, expired=True)
    assert eventually(lambda: again(job).state is JobState.EXPIRED)


def test_f49_a_heart_does_not_beat_for_an_attempt_that_another_worker_has(received, monkeypatch):
    job, request = received()
    again(job).start("another@there/1")
    heart, beats = Heart(), []
    heart._requests = {job.id: request}
    monkeypatch.setattr(records, "beat", lambda job_ids, _lost_after: beats.append(job_ids))
    heart.beat([job.id])
    assert beats == []


def test_a_task_that_was_ignored_before_it_began_has_failed(received):
    job, request = received()
    request.worker_pid = 4711
    request.on_failure(info_of(Ignore(), from_the_child=True))
    assert eventually(lambda: again(job).state is JobState.FAILED)


def test_a_job_that_was_handed_over_is_not_ended_with_its_first_run(received):
    job, request = received()
    run_by(request, job).hand_over()
    again(job).start(request.runner)  # the same process has the replacement already
    request.on_failure(info_of(Ignore(), from_the_child=True))
    assert after_the_parent_s_thread(lambda: again(job).state) is JobState.RUNNING


def test_a_plain_task_that_was_revoked_ends_nothing():
    job = create_job()
    celery_signals.task_revoked.send(
        sender=send_parcel, request=SimpleNamespace(id=job.id, headers={}), expired=False
    )
    assert after_the_parent_s_thread(lambda: again(job).state) is JobState.PENDING


def test_a_task_that_the_worker_does_not_know_fails_its_job():
    job = create_job()
    message = SimpleNamespace(headers={"jobs": {"kwargs": []}})
    celery_signals.task_unknown.send(
        sender=None, message=message, exc=KeyError("x"), name="gone", id=job.id
    )
    assert eventually(lambda: again(job).state is JobState.FAILED)


def test_an_end_is_told_in_the_language_of_the_job():
    job = started_job()
    worker.end_later(job.id, JobState.FAILED, worker.TOO_LONG)
    assert eventually(lambda: again(job).error == str(worker.TOO_LONG))


def test_an_end_of_a_job_that_is_nowhere_is_logged(caplog):
    worker.end_later("nobody", JobState.FAILED)
    after_the_parent_s_thread(lambda: None)
    assert "job nobody: not failed" in caplog.text


def test_an_end_that_the_store_does_not_take_is_written_when_it_answers_again(
    settings, monkeypatch
):
    monkeypatch.setattr("jobs.runtime.backlog.RETRY_PAUSE", 0.02)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    worker.end_later(job.id, JobState.FAILED, "interrupted")
    after_the_parent_s_thread(lambda: None)
    settings.JOBS = here
    assert eventually(lambda: again(job).state is JobState.FAILED)
    eventually(lambda: not backlog()._is_running)


# The heart


def test_a_beat_puts_the_loss_of_running_jobs_off(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 1, "HEARTBEAT": 0.1}
    job, waiting = started_job(), create_job()
    before, untouched = records.read(job.id).record, records.read(waiting.id).record
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 60}
    Heart().beat([job.id, waiting.id, "nobody"])
    after = records.read(job.id).record
    assert after.deadline > before.deadline and after.version == before.version
    assert records.read(waiting.id).record == untouched


def test_a_beat_writes_a_record_anew_that_redis_has_lost(redis_client):
    heart, job = Heart(), started_job(parcel="books")
    heart.beat([job.id])
    redis_client.flushall()
    heart.beat([job.id])
    known = records.read(job.id).record
    assert (known.state, known.data) == (
        JobState.RUNNING,
        {"parcel": '"books"'},
    ) and known.deadline > 0
    assert known.version >= job.version


def test_a_beat_does_not_write_a_job_anew_that_is_no_longer_run(redis_client):
    heart, job = Heart(), started_job()
    heart.beat([job.id])
    redis_client.flushall()
    heart.beat([])
    heart.beat([job.id])
    assert records.read(job.id).record is None


def test_a_record_from_an_old_backup_is_replaced_by_what_the_worker_knows(redis_client):
    heart, job = Heart(), create_job()
    backup = hash_of(redis_client, job)
    job.start()
    heart.beat([job.id])
    redis_client.flushall()
    plant(redis_client, job, **backup)
    heart.beat([job.id])
    assert again(job).state is JobState.RUNNING


def test_a_beat_without_a_store_says_so(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        Heart().beat(["parcel-1"])


def test_the_heart_beats_for_what_the_parent_has_accepted(received, monkeypatch, settings):
    settings.JOBS = settings.JOBS | {"HEARTBEAT": 0.01}
    job, request = received()
    run_by(request, job)
    _none, plain = received(plain=True)
    monkeypatch.setattr(worker_state, "active_requests", {request, plain})
    beats, heart = [], Heart()

    def beat(job_ids, _lost_after):
        beats.append(list(job_ids))
        if len(beats) == 1:
            raise StoreUnavailable("away for a moment")

    monkeypatch.setattr(records, "beat", beat)
    heart.start()
    heart.start()
    eventually(lambda: len(beats) >= 3)
    assert beats[:3] == [[job.id]] * 3
    assert [thread.name for thread in threading.enumerate()].count("jobs-heart") == 1


def test_the_heart_starts_with_the_first_job_and_not_with_a_plain_task(received, monkeypatch):
    started = []
    monkeypatch.setattr(Heart, "start", lambda self: started.append(self))
    _none, plain = received(plain=True)
    plain.on_accepted(4711, 0.0)
    assert started == []
    _job, request = received()
    request.on_accepted(4711, 0.0)
    assert started == [worker.heart()]
