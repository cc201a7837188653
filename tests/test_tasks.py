"""Tasks that somebody waits for: record first, then the message, and the record follows the task to its end."""

import logging
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from celery import signals as celery_signals
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import AnonymousUser, Group
from django.db import transaction
from django.shortcuts import redirect
from django.utils.translation import override
from kombu import Connection

from jobs.conf import jobs_settings
from jobs.exceptions import (
    HandlerNotFound,
    JobError,
    JobNotFound,
    StoreUnavailable,
    UnserializableData,
)
from jobs.lifecycle.detached_record import DetachedRecord
from jobs.models import JobRecord
from jobs.queues.celery.headers import HEADER
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.store import keys, records
from jobs.tasks import JobTask, job_task
from jobs.testing import capture_events, run_job
from project.celery import app

from .factories import (
    ANN,
    NOWHERE,
    OWNER,
    again,
    annas,
    browser,
    commands,
    create_job,
    eventually,
    hash_of,
    request_of,
    user,
)
from .tasks import (
    PACK,
    carry,
    deliver,
    end_inside_a_transaction,
    only_once,
    pass_a_coroutine_on,
    remember_language,
    see,
    send_parcel,
    stumble,
    try_again,
    use_token,
    wait_for_cancel,
)

pytestmark = pytest.mark.usefixtures("database_file", "runs")


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
    assert (
        send_parcel.start_job(fresh, parcel="x").owner
        == f"visitor:{fresh.session['jobs_visitor']}"
    )


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
    assert (known.id, known.handler_class, known.tags) == (
        "parcel-1",
        "tests.handlers.BrokenHandler",
        ("post",),
    )
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
def test_what_cannot_be_started_is_refused_and_neither_stored_nor_sent(
    redis_client, broker, start, error
):
    with pytest.raises(error):
        start()
    assert redis_client.dbsize() == 0 and broker() is None


def test_a_job_whose_task_has_a_due_time_does_not_expire_before_it():
    job = send_parcel.submit_job(None, ["books"], countdown=10_000)
    left = (records.read(job.id).record.deadline - job.record.created_at) / 1_000_000
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
    left = (records.read(job.id).record.deadline - job.record.created_at) / 1_000_000
    assert 6.9 < left < 7.1


# Arguments


def test_positional_arguments_are_sent_as_they_are_and_kept_by_their_names(broker, runs):
    job = send_parcel.start_job(annas(), "books", weight=3)
    message = broker()
    assert message.payload[:2] == [["books"], {"weight": 3}]
    deliver(message)
    assert again(job).data == {
        "parcel": "books",
        "weight": 3,
        "receipt": "books sent",
    } and runs == ["books"]


@pytest.mark.parametrize(
    "value", [uuid4(), date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC), Decimal("1.20")]
)
def test_an_argument_that_celery_carries_arrives_as_it_is_and_its_text_is_kept(
    broker, runs, value
):
    jobs = [
        see.start_job(annas(), value),
        see.start_job(annas(), thing=value),
        see.start_job(annas(), [value]),
    ]
    for _ in jobs:
        deliver(broker())
    text = value.isoformat() if isinstance(value, date) else str(value)
    assert runs == [value, value, [value]]
    assert [again(job).data["thing"] for job in jobs] == [text, text, [text]]


def test_data_that_is_assigned_by_hand_is_not_converted():
    job = see.start_job(annas(), uuid4())
    with pytest.raises(UnserializableData, match="thing"):
        job.data["thing"] = uuid4()


def test_an_argument_that_celery_s_json_cannot_carry_is_refused_by_its_name(redis_client, broker):
    with pytest.raises(UnserializableData, match="thing"):
        see.start_job(annas(), thing=object())
    assert redis_client.dbsize() == 0 and broker() is None


def test_an_argument_that_is_excluded_from_data_reaches_the_task_alone(broker, runs, redis_client):
    jobs = [
        use_token.start_job(annas(), 1, "hunter2"),
        use_token.start_job(annas(), year=1, access_token="hunter2"),
    ]
    for job in jobs:
        assert "hunter2" not in str(hash_of(redis_client, job))
        message = broker()
        assert "hunter2" in str(message.payload) and "hunter2" not in str(message.headers)
        deliver(message)
        assert again(job).data == {"year": 1}
        assert "hunter2" not in str(JobRecord.objects.get(pk=job.id).stored)
    assert runs == ["hunter2"] * 2


def test_a_retry_hides_what_is_excluded_too(broker):
    use_token.start_job(annas(), 0, access_token="hunter2")
    deliver(broker())
    message = broker()
    assert "hunter2" in str(message.payload) and "hunter2" not in str(message.headers)


@pytest.mark.parametrize("names", [("acces_token",), "access_token"])
def test_names_to_exclude_that_are_no_arguments_are_refused_at_once(names):
    with pytest.raises(TypeError, match="exclude_from_data"):

        @job_task(exclude_from_data=names)
        def forget(self, access_token):
            """Do nothing."""

    with pytest.raises(TypeError, match="exclude_from_data"):

        class Forget(JobTask):
            exclude_from_data = names

            def run(self, access_token):
                """Do nothing."""


def test_a_base_class_may_exclude_what_not_all_its_tasks_take():
    class Careful(JobTask):
        abstract = True
        exclude_from_data = ("access_token",)

    class Export(Careful):
        name = "tests.export_carefully"

        def run(self, year):
            """Do nothing."""

    assert app.register_task(Export()).start_job(None, 2026).data == {"year": 2026}
    app.tasks.unregister("tests.export_carefully")


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


def test_a_message_that_another_task_stands_in_for_leaves_no_job_waiting(broker, caplog):
    job = only_once.start_job(annas())
    assert (job.state, again(job).error) == (
        "failed",
        "This work is already under way, so it was not started again.",
    )
    assert broker() is None and "the-one-that-runs" in caplog.text


def test_after_the_commit_a_plain_task_is_sent(broker):
    with transaction.atomic():
        send_parcel.delay_on_commit("books")
        send_parcel.apply_async_on_commit(["toys"])
        assert broker() is None
    assert [broker().payload[0], broker().payload[0]] == [["books"], ["toys"]]


def test_after_the_commit_the_task_of_a_stored_job_is_sent(broker, runs):
    with transaction.atomic():
        job = create_job(id="by-hand", parcel="books")
        send_parcel.apply_async_on_commit(["books"], task_id=job.id)
    deliver(broker())
    assert runs == ["books"] and again(job).state is JobState.COMPLETE


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


def test_outcome_and_data_are_read_by_another_process_after_redis_was_emptied(
    broker, redis_client
):
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
def test_a_task_that_kills_its_process_again_and_again_is_given_up(
    broker, runs, task, kwargs, most
):
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


def test_a_record_that_redis_has_lost_before_the_start_is_written_anew_from_the_message(
    broker, redis_client, runs
):
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


def test_f04_large_data_that_redis_has_lost_before_the_start_is_gone_and_the_task_runs(
    broker, redis_client, runs
):
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
def test_a_worker_reads_a_job_only_if_its_message_does_not_hold_all(
    broker, redis_client, size, reads
):
    carry.submit_job(annas(), data={"text": "x" * size})
    message = broker()
    assert commands(redis_client, lambda: deliver(message)).count("HGETALL") == reads


def test_a_worker_that_gets_a_message_late_runs_the_job_as_it_has_become(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    again(job).data["weight"] = 3
    deliver(broker())
    assert (
        again(job).data["weight"] == 3
        and again(job).state is JobState.COMPLETE
        and runs == ["books"]
    )


@pytest.mark.parametrize("end", [JobState.COMPLETE, JobState.CANCELLED])
def test_a_message_whose_job_redis_has_forgotten_the_end_of_runs_nothing(
    broker, redis_client, runs, end
):
    job = send_parcel.start_job(annas(), parcel="books")
    backup = redis_client.hgetall(keys.job_key(job.id))
    again(job).end(end)
    redis_client.hset(keys.job_key(job.id), mapping=backup)  # restored from an old backup
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
def test_a_task_that_is_sent_under_an_id_of_its_own_stays_a_plain_one(
    broker, redis_client, runs, task_id
):
    send_parcel.apply_async(["books"], task_id=task_id)
    assert deliver(broker()).retval == "kept by nobody"
    assert runs == ["books"] and redis_client.dbsize() == 0


def test_a_plain_task_is_sent_while_the_store_is_away(broker, settings, caplog):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    send_parcel.apply_async(["books"], task_id="my-own")
    assert broker().headers["id"] == "my-own" and "sent as a plain task" in caplog.text


def test_a_task_that_is_sent_by_name_under_the_id_of_a_job_is_that_job_s(broker, runs):
    job = create_job(id="by-hand", parcel="books")
    app.send_task(send_parcel.name, kwargs={"parcel": "books"}, task_id=job.id)
    deliver(broker())
    message = broker()  # sent again, so that the worker's parent knows that it has a job
    assert runs == [] and message.headers["id"] == job.id and message.headers[HEADER]
    deliver(message)
    assert runs == ["books"] and again(job).state is JobState.COMPLETE and broker() is None


def test_a_task_that_is_sent_by_name_alone_is_a_plain_one(broker, runs):
    app.send_task(send_parcel.name, ["books"])
    assert deliver(broker()).retval == "kept by nobody"
    assert runs == ["books"] and broker() is None


def test_a_task_that_is_sent_by_name_runs_while_the_store_is_away(broker, runs, settings):
    app.send_task(send_parcel.name, ["books"])
    message = broker()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    deliver(message)
    assert runs == ["books"]


def test_a_task_of_a_job_that_nobody_could_look_for_is_its_job_s_after_all(broker, runs, settings):
    job, here = create_job(id="by-hand", parcel="books"), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    send_parcel.apply_async(["books"], task_id=job.id)
    settings.JOBS = here
    deliver(broker())
    deliver(broker())
    assert runs == ["books"] and again(job).state is JobState.COMPLETE


# Plain runs


def test_a_plain_delay_runs_as_a_plain_task(broker, redis_client, runs):
    result = send_parcel.delay("books")
    message = broker()
    assert deliver(message).retval == "kept by nobody"
    assert runs == ["books"] and message.headers["id"] == result.id
    assert redis_client.dbsize() == 0 and not JobRecord.objects.exists()


def test_a_plain_delay_costs_the_worker_no_look_at_the_store(broker, runs, settings, caplog):
    send_parcel.delay("books")
    message = broker()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    deliver(message)
    assert runs == ["books"] and "plain" not in caplog.text


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
        return isinstance(first.stored, DetachedRecord), self.job is first, dict(self.job.data)

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
    assert (with_options.name, with_options.rate_limit, with_options.max_retries) == (
        "tests.with_options",
        "5/m",
        7,
    )
    assert with_options.start_timeout == 3


def test_a_class_is_a_job_task_too(broker, runs):
    job = PACK.start_job(annas(), "books", ribbon="red")
    deliver(broker())
    known = again(job)
    assert (known.state, known.data, runs) == (
        "complete",
        {"parcel": "books", "ribbon": "red"},
        ["books in red"],
    )
    with pytest.raises(TypeError):
        PACK.start_job(annas(), colour="red")
    with pytest.raises(TypeError):
        PACK.delay()


def test_a_task_that_celery_would_not_run_is_refused_at_once():
    with pytest.raises(TypeError, match="async_to_sync"):

        @job_task
        async def export(self):
            """Be awaited."""

    with pytest.raises(TypeError, match="generator"):

        @job_task(name="tests.export")
        def export_rows(self):
            yield 1

    with pytest.raises(TypeError, match="async_to_sync"):

        class Export(JobTask):
            async def run(self):
                """Be awaited."""


def test_a_task_of_another_decorator_is_refused_when_celery_makes_it():
    with pytest.raises(TypeError, match="async_to_sync"):

        @app.task(base=JobTask, lazy=False)
        async def export():
            """Be awaited."""


def test_a_task_of_which_nothing_has_run_has_failed(broker, caplog):
    job = pass_a_coroutine_on.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.FAILED and "which has never run" in caplog.text


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
    app.tasks.unregister(
        of_a_handler_to_come.name
    )  # or the system checks complain of it in later tests


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
