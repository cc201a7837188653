"""Tasks that somebody waits for: record first, then the message, and the record follows the task to its end."""

import logging
import re

import pytest
from celery import signals as celery_signals
from celery.app.trace import build_tracer
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import AnonymousUser, Group
from django.db import transaction
from django.shortcuts import redirect
from django.utils.translation import override
from kombu import Connection

from jobs import store
from jobs.conf import jobs_settings
from jobs.detached import DetachedJob
from jobs.events import HEADER
from jobs.exceptions import HandlerNotFound, JobError, JobNotFound, StoreUnavailable, UnserializableData
from jobs.models import JobRecord
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.tasks import JobTask, job_task
from jobs.testing import capture_events, run_job
from project.celery import app

from . import tasks
from .factories import ANN, NOWHERE, OWNER, again, browser, create_job, eventually, hash_of, request_of, user
from .surroundings import database_file  # noqa: F401 - a fixture
from .tasks import end_inside_a_transaction, remember_language, send_parcel, stumble, try_again, wait_for_cancel

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture(autouse=True)
def runs():
    """Forget what other tests have run."""
    tasks.RUNS.clear()
    return tasks.RUNS


@pytest.fixture
def broker():
    """Return a function that takes the next message out of the queue, or None."""
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:

        def take():
            try:
                message = queue.get(block=False)
            except queue.Empty:
                return None
            message.ack()
            return message

        yield take


def deliver(message, **changes):
    """Run a message's task as a process of a worker does."""
    args, kwargs, _embed = message.payload
    task = app.tasks[message.headers["task"]]
    request = {**message.headers, "hostname": "worker@here", "delivery_info": {}, **changes}
    return build_tracer(task.name, task, app=app)(message.headers["id"], args, kwargs, request)


def annas():
    return request_of(dict(ANN), AnonymousUser())


# Starting


def test_a_job_is_stored_and_its_task_sent(broker):
    job = send_parcel.start_job(annas(), parcel="books", weight=3)
    message = broker()
    assert (again(job).state, again(job).data) == ("pending", {"parcel": "books", "weight": 3})
    assert (message.headers["id"], message.headers["task"]) == (job.id, "tests.tasks.send_parcel")
    assert message.payload[:2] == [[], {"parcel": "books", "weight": 3}]
    assert broker() is None


def test_the_record_is_there_before_the_message(broker):
    found = []

    def look(headers, **_):
        found.append(JobRepository().find(headers["id"]).state)

    celery_signals.before_task_publish.connect(look)
    try:
        send_parcel.start_job(annas(), parcel="books")
    finally:
        celery_signals.before_task_publish.disconnect(look)
    assert found == [JobState.PENDING]


def test_a_view_can_redirect_to_the_job():
    job = send_parcel.start_job(annas(), parcel="books")
    assert redirect(job)["Location"] == f"/jobs/{job.id}/"


def test_a_job_is_its_user_s_or_its_visitor_s_or_nobody_s():
    ada = user()
    assert send_parcel.start_job(annas(), parcel="x").owner == OWNER
    assert send_parcel.start_job(request_of({}, ada), parcel="x").owner == f"user:{ada.pk}"
    assert send_parcel.start_job(None, parcel="x").owner == ""
    assert send_parcel.submit_job(annas(), ["x"], owner="visitor:bob").owner == "visitor:bob"
    fresh = request_of({}, AnonymousUser())
    assert send_parcel.start_job(fresh, parcel="x").owner == f"visitor:{fresh.session['jobs_visitor']}"


def test_a_visitor_s_job_is_still_theirs_after_login():
    client, job = browser(ANN), send_parcel.start_job(annas(), parcel="books")
    client.force_login(user())
    assert client.get(job.get_absolute_url()).status_code == 200


def test_the_long_form_says_everything_by_itself(broker):
    job = send_parcel.submit_job(
        annas(),
        ["books"],
        {"weight": 3},
        handler_class="tests.handlers.BrokenHandler",
        data={"note": "fragile"},
        tags=["post"],
        task_id="parcel-1",
        headers={"trace": "abc"},
    )
    message = broker()
    known = again(job)
    assert (known.id, known.handler_class, known.tags) == ("parcel-1", "tests.handlers.BrokenHandler", ("post",))
    assert known.data == {"note": "fragile"} and message.payload[:2] == [["books"], {"weight": 3}]
    assert message.headers["trace"] == "abc"


def test_the_handler_is_the_task_s_unless_another_is_named():
    assert send_parcel.start_job(None, parcel="x").handler_class == "tests.handlers.PostHandler"
    assert stumble.start_job(None, secret="x").handler_class == "jobs.handlers.JobHandler"


@pytest.mark.parametrize(
    ("start", "error"),
    [
        (lambda: send_parcel.start_job(None), TypeError),
        (lambda: send_parcel.start_job(None, parcel="x", colour="red"), TypeError),
        (lambda: send_parcel.submit_job(None, ["x", 1, 2]), TypeError),
        (lambda: send_parcel.start_job(None, parcel=float("nan")), UnserializableData),
        (lambda: send_parcel.start_job(None, parcel=("a", "b")), UnserializableData),
        (lambda: send_parcel.submit_job(None, ["x"], handler_class="os.system"), HandlerNotFound),
        (lambda: send_parcel.submit_job(None, ["x"], task_id="a b"), ValueError),
        (lambda: send_parcel.submit_job(None, ["x"], tags=[""]), ValueError),
    ],
)
def test_what_cannot_be_started_is_refused_and_neither_stored_nor_sent(redis_client, broker, start, error):
    with pytest.raises(error):
        start()
    assert redis_client.dbsize() == 0 and broker() is None


def test_a_job_whose_task_has_a_due_time_does_not_expire_before_it():
    job = send_parcel.submit_job(None, ["books"], countdown=10_000)
    left = (store.read(job.id).record.deadline - job.record.created_at) / 1_000_000
    assert 13_599 < left < 13_601


def test_a_job_that_is_due_after_the_ttl_is_kept_and_listed_until_then(redis_client):
    due, ttl = 3 * 86400, jobs_settings().TTL
    job = send_parcel.submit_job(annas(), ["books"], countdown=due)
    send_parcel.submit_job(annas(), ["pens"])  # due now, and in the same lists
    for key in (f"jobs:{{{job.id}}}", f"jobs:index:owner:{job.owner}"):
        assert due + 3600 + ttl - 5 < redis_client.ttl(key) <= due + 3600 + ttl
    job.cancel()
    assert redis_client.ttl(f"jobs:{{{job.id}}}") <= ttl


def test_a_task_may_say_how_long_its_jobs_wait_for_a_worker():
    job = try_again.start_job(None, countdown=5)
    left = (store.read(job.id).record.deadline - job.record.created_at) / 1_000_000
    assert 6.9 < left < 7.1


# Transactions


def test_inside_a_transaction_a_job_is_a_draft_until_it_commits(broker):
    with transaction.atomic():
        job = send_parcel.start_job(annas(), parcel="books")
        job.data["note"] = "fragile"
        assert job.get_absolute_url() == f"/jobs/{job.id}/" and job.data["parcel"] == "books"
        with pytest.raises(JobNotFound):
            job.cancel()
        with pytest.raises(JobNotFound):
            again(job)
        assert broker() is None
    assert again(job).data == {"parcel": "books", "note": "fragile"}
    assert broker().headers["id"] == job.id


def test_a_view_that_is_rolled_back_leaves_neither_record_nor_message(redis_client, broker):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        send_parcel.start_job(annas(), parcel="books")
        raise ZeroDivisionError
    assert redis_client.dbsize() == 0 and broker() is None


# Outages


def test_a_broker_that_is_down_makes_a_failed_job_and_the_view_can_redirect(caplog):
    with Connection(NOWHERE) as dead, capture_events() as frames:
        job = send_parcel.submit_job(annas(), ["books"], connection=dead)
    assert redirect(job).status_code == 302
    assert again(job).state is job.state is JobState.FAILED
    assert again(job).error == "The work could not be started. Please try again later."
    assert f"job {job.id}: the broker did not take the task" in caplog.text
    assert [frame["event"] for frame in frames] == ["created", "failed"]


def test_a_store_that_is_down_is_an_error_that_the_view_may_catch(settings, broker):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        send_parcel.start_job(annas(), parcel="books")
    assert broker() is None


# Running


def test_a_task_that_returns_completes_its_job(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    with capture_events() as frames:
        deliver(broker())
    known = again(job)
    assert (known.state, known.attempt, runs) == ("complete", 1, ["books"])
    assert known.data == {"parcel": "books", "receipt": "books sent"}
    assert known.progress == (1, 2, 100, "books")
    assert [frame["event"] for frame in frames] == ["started", "progress", "ready"]


def test_outcome_and_data_are_read_by_another_process_after_redis_was_emptied(broker, redis_client):
    job = send_parcel.start_job(annas(), parcel="books")
    deliver(broker())
    redis_client.flushall()
    assert (again(job).state, again(job).data["receipt"]) == ("complete", "books sent")


def test_an_error_of_ours_is_shown_as_it_is(broker):
    job = send_parcel.start_job(annas(), parcel="stones", weight=99)
    deliver(broker())
    assert (again(job).state, again(job).error) == ("failed", "stones is too heavy.")


def test_any_other_error_is_a_neutral_sentence_with_a_reference_to_the_log(broker, caplog):
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


def test_a_soft_time_limit_is_told_in_plain_words(broker, monkeypatch):
    def run(*_args, **_kwargs):
        raise SoftTimeLimitExceeded

    job = stumble.start_job(annas(), secret="x")
    monkeypatch.setattr(stumble, "run", run)
    deliver(broker())
    assert again(job).error == "The work took too long and was stopped."


def test_a_task_that_was_cancelled_stops_at_its_next_progress_call(broker, runs):
    job = wait_for_cancel.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.CANCELLED and again(job).error == ""
    assert runs == ["cancelled meanwhile"]


def test_the_job_s_language_is_active_in_the_task(broker):
    with override("de"):
        job = remember_language.start_job(annas())
    deliver(broker())
    assert again(job).data["language"] == "de"


def test_a_job_that_completes_inside_the_task_s_transaction_is_ready_with_its_data(broker):
    job = end_inside_a_transaction.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.COMPLETE and Group.objects.exists()


def test_a_job_whose_transaction_is_rolled_back_has_failed(broker):
    job = end_inside_a_transaction.start_job(annas(), roll_back=True)
    deliver(broker())
    assert again(job).state is JobState.FAILED and not Group.objects.exists()


@pytest.mark.parametrize("end", [JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_a_message_whose_job_has_ended_runs_nothing(broker, runs, end):
    job = send_parcel.start_job(annas(), parcel="books")
    again(job).end(end)
    deliver(broker())
    assert runs == [] and again(job).state is end


def test_a_message_that_comes_after_the_deadline_runs_nothing(broker, runs, settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.01}
    job = send_parcel.start_job(annas(), parcel="books")
    eventually(lambda: store.read(job.id).now > store.read(job.id).record.deadline)
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
    ("task", "kwargs", "most"), [(send_parcel, {"parcel": "x"}, 4), (try_again, {"countdown": 1}, 3)]
)
def test_a_task_that_kills_its_process_again_and_again_is_given_up(broker, runs, task, kwargs, most):
    job = task.start_job(annas(), **kwargs)
    for _ in range(most):
        again(job).start()
    deliver(broker())
    assert again(job).state is JobState.FAILED and runs == []
    assert again(job).error == "The work was interrupted again and again."


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


def test_a_record_that_redis_has_lost_before_the_start_is_written_anew_from_the_message(broker, redis_client, runs):
    job = send_parcel.submit_job(annas(), ["books"], {"weight": 3}, data={"weight": 3, "x": [1]}, tags=["post"])
    before, message = hash_of(redis_client, job), broker()
    redis_client.flushall()
    deliver(message)
    known = again(job)
    assert (known.state, known.owner, known.tags, runs) == ("complete", OWNER, ("post",), ["books"])
    assert known.data == {"weight": 3, "x": [1], "receipt": "books sent"}
    assert known.version > int(before["version"])


def test_a_worker_that_gets_a_message_late_runs_the_job_as_it_has_become(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    again(job).data["weight"] = 3
    deliver(broker())
    assert again(job).data["weight"] == 3 and again(job).state is JobState.COMPLETE and runs == ["books"]


@pytest.mark.parametrize("end", [JobState.COMPLETE, JobState.CANCELLED])
def test_a_message_whose_job_redis_has_forgotten_the_end_of_runs_nothing(broker, redis_client, runs, end):
    job = send_parcel.start_job(annas(), parcel="books")
    backup = redis_client.hgetall(store.job_key(job.id))
    again(job).end(end)
    redis_client.hset(store.job_key(job.id), mapping=backup)  # restored from an old backup
    deliver(broker())
    assert runs == [] and again(job).state is end


@pytest.mark.parametrize("damage", [{"version": "soon"}, {"state": '"ready"'}, {"tags": "post"}])
def test_a_message_that_describes_its_job_badly_is_no_hindrance(broker, runs, damage):
    job = send_parcel.start_job(annas(), parcel="books")
    message = broker()
    message.headers[HEADER]["record"] |= damage
    deliver(message)
    assert runs == ["books"] and again(job).state is JobState.COMPLETE


def test_a_task_that_cannot_ask_the_store_is_put_back(broker, settings, runs):
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


# The longer way: the record by hand, then the task under its id


def test_a_task_that_is_sent_under_the_id_of_a_job_is_that_job_s(broker, runs):
    job = create_job(id="by-hand", parcel="books")
    send_parcel.apply_async(kwargs={"parcel": "books"}, task_id=job.id)
    deliver(broker())
    assert runs == ["books"] and again(job).state is JobState.COMPLETE


def test_a_task_that_is_sent_again_under_the_id_of_a_job_that_has_ended_does_not_run(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    deliver(broker())
    send_parcel.apply_async(["stones"], task_id=job.id)
    deliver(broker())
    assert runs == ["books"]


@pytest.mark.parametrize("task_id", ["nobody-has-this-id", "no id at all!"])
def test_a_task_that_is_sent_under_an_id_of_its_own_stays_a_plain_one(broker, redis_client, runs, task_id):
    send_parcel.apply_async(["books"], task_id=task_id)
    assert deliver(broker()).retval == "kept by nobody"
    assert runs == ["books"] and redis_client.dbsize() == 0


def test_a_plain_task_is_sent_while_the_store_is_away(broker, settings, caplog):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    send_parcel.apply_async(["books"], task_id="my-own")
    assert broker().headers["id"] == "my-own" and "sent as a plain task" in caplog.text


# Plain runs


def test_a_plain_delay_runs_as_a_plain_task(broker, redis_client, runs):
    result = send_parcel.delay("books")
    message = broker()
    assert deliver(message).retval == "kept by nobody"
    assert runs == ["books"] and message.headers["id"] == result.id
    assert redis_client.dbsize() == 0 and not JobRecord.objects.exists()


def test_a_direct_call_runs_the_function(redis_client, runs):
    assert send_parcel("books") == "kept by nobody"
    with pytest.raises(JobError):
        send_parcel("stones", weight=99)
    assert runs == ["books", "stones"] and redis_client.dbsize() == 0


def test_a_plain_run_s_job_is_its_own():
    @job_task(name="tests.look_at_itself")
    def look_at_itself(self):
        first = self.job
        self.job.data["x"] = 1
        return isinstance(first, DetachedJob), self.job is first, dict(self.job.data)

    assert look_at_itself() == (True, True, {"x": 1})
    assert look_at_itself.apply().get() == (True, True, {"x": 1})


def test_one_run_s_job_is_not_the_next_one_s(broker):
    jobs = [send_parcel.start_job(annas(), parcel=name) for name in ("books", "toys")]
    for _ in jobs:
        deliver(broker())
    assert [again(job).data["receipt"] for job in jobs] == ["books sent", "toys sent"]


# Making tasks


def test_a_job_task_takes_the_options_of_celery_s_tasks():
    @job_task(name="tests.with_options", rate_limit="5/m", max_retries=7, start_timeout=3)
    def with_options(self):
        """Do nothing."""

    assert isinstance(with_options, JobTask)
    assert (with_options.name, with_options.rate_limit, with_options.max_retries) == ("tests.with_options", "5/m", 7)
    assert with_options.start_timeout == 3


def test_a_job_task_can_be_made_with_and_without_parentheses():
    @job_task
    def without(self):
        return "done"

    @job_task()
    def with_them(self):
        return "done"

    assert without() == with_them() == "done"


def test_a_handler_s_path_is_looked_up_when_a_job_is_made_and_not_before():
    @job_task(name="tests.of_a_handler_to_come", handler_class="tests.nowhere.HandlerToCome")
    def of_a_handler_to_come(self):
        """Do nothing."""

    with pytest.raises(HandlerNotFound, match="HandlerToCome"):
        of_a_handler_to_come.start_job(None)
    app.tasks.unregister(of_a_handler_to_come.name)  # or the system checks complain of it in later tests


def test_a_job_that_was_created_before_cannot_be_started_again(broker):
    create_job(id="parcel-1")
    with pytest.raises(JobError, match="parcel-1"):
        send_parcel.submit_job(annas(), ["books"], task_id="parcel-1")
    assert broker() is None


def test_a_late_end_of_a_task_is_logged_and_not_raised(caplog, broker, monkeypatch):
    job = send_parcel.start_job(annas(), parcel="books")

    def run(*_args, **_kwargs):
        again(job).end(JobState.CANCELLED)

    monkeypatch.setattr(send_parcel, "run", run)
    caplog.set_level(logging.WARNING)
    deliver(broker())
    assert again(job).state is JobState.CANCELLED and "too late" in caplog.text


def test_a_job_is_run_without_a_worker_for_tests():
    assert run_job(send_parcel, annas(), parcel="books").state is JobState.COMPLETE
