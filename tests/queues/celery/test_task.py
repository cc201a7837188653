"""A task is started as a job: first the record, then the message. A plain run stores nothing."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from celery import signals as celery_signals
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.shortcuts import redirect
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
from jobs.store import records
from jobs.tasks import job_task
from jobs.testing import capture_events
from project.celery import app
from tests.factories import (
    ANN,
    NOWHERE,
    OWNER,
    again,
    annas,
    browser,
    create_job,
    hash_of,
    request_of,
    user,
)
from tests.tasks import (
    deliver,
    only_once,
    see,
    send_parcel,
    stumble,
    try_again,
    use_token,
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


def test_submit_job_takes_handler_data_tags_id_and_celery_options(broker):
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
def test_a_refused_start_neither_stores_nor_sends_anything(redis_client, broker, start, error):
    with pytest.raises(error):
        start()
    assert redis_client.dbsize() == 0 and broker() is None


def test_a_job_with_a_countdown_does_not_expire_before_it_is_due():
    job = send_parcel.submit_job(None, ["books"], countdown=10_000)
    left = (records.read(job.id).record.deadline - job.record.created_at) / 1_000_000
    assert 13_599 < left < 13_601


def test_a_job_due_after_the_ttl_is_kept_and_listed_until_then(redis_client):
    due, ttl = 3 * 86400, jobs_settings().TTL
    job = send_parcel.submit_job(annas(), ["books"], countdown=due)
    send_parcel.submit_job(annas(), ["pens"])  # due now, and in the same lists
    for key in (f"jobs:{{{job.id}}}", f"jobs:index:owner:{job.owner}"):
        assert due + 3600 + ttl - 5 < redis_client.ttl(key) <= due + 3600 + ttl
    job.cancel()
    assert redis_client.ttl(f"jobs:{{{job.id}}}") <= ttl


def test_start_timeout_is_how_long_jobs_wait_for_a_worker():
    job = try_again.start_job(None, countdown=5)
    left = (records.read(job.id).record.deadline - job.record.created_at) / 1_000_000
    assert 6.9 < left < 7.1


def test_a_job_that_was_created_before_cannot_be_started_again(broker):
    create_job(id="parcel-1")
    with pytest.raises(JobError, match="parcel-1"):
        send_parcel.submit_job(annas(), ["books"], task_id="parcel-1")
    assert broker() is None


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
def test_a_typed_argument_arrives_typed_and_data_holds_its_text(broker, runs, value):
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


def test_an_argument_that_json_cannot_carry_is_named_in_the_error(redis_client, broker):
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


# Outages


def test_a_broker_that_is_down_fails_the_job_but_the_view_redirects(caplog):
    with Connection(NOWHERE) as dead, capture_events() as frames:
        job = send_parcel.submit_job(annas(), ["books"], connection=dead)
    assert redirect(job).status_code == 302
    assert again(job).state is job.state is JobState.FAILED
    assert again(job).error == "The work could not be started. Please try again later."
    assert f"job {job.id}: the broker did not take the task" in caplog.text
    assert [frame["event"] for frame in frames] == ["created", "failed"]


def test_a_store_that_is_down_raises_and_nothing_is_sent(settings, broker):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        send_parcel.start_job(annas(), parcel="books")
    assert broker() is None


def test_a_task_that_a_base_class_deduplicates_fails_its_job(broker, caplog):
    job = only_once.start_job(annas())
    assert (job.state, again(job).error) == (
        "failed",
        "This work is already under way, so it was not started again.",
    )
    assert broker() is None and "the-one-that-runs" in caplog.text


# A stored job first, then a task under its id


def test_a_task_sent_under_a_stored_job_s_id_runs_that_job(broker, runs):
    job = create_job(id="by-hand", parcel="books")
    send_parcel.apply_async(kwargs={"parcel": "books"}, task_id=job.id)
    deliver(broker())
    assert runs == ["books"] and again(job).state is JobState.COMPLETE


def test_a_task_sent_under_an_ended_job_s_id_does_not_run(broker, runs):
    job = send_parcel.start_job(annas(), parcel="books")
    deliver(broker())
    send_parcel.apply_async(["stones"], task_id=job.id)
    deliver(broker())
    assert runs == ["books"]


@pytest.mark.parametrize("task_id", ["nobody-has-this-id", "no id at all!"])
def test_a_task_sent_under_an_unknown_id_is_a_plain_task(broker, redis_client, runs, task_id):
    send_parcel.apply_async(["books"], task_id=task_id)
    assert deliver(broker()).retval == "kept by nobody"
    assert runs == ["books"] and redis_client.dbsize() == 0


def test_a_plain_task_is_sent_while_the_store_is_down(broker, settings, caplog):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    send_parcel.apply_async(["books"], task_id="my-own")
    assert broker().headers["id"] == "my-own" and "sent as a plain task" in caplog.text


def test_a_task_sent_by_name_under_a_job_s_id_runs_that_job(broker, runs):
    job = create_job(id="by-hand", parcel="books")
    app.send_task(send_parcel.name, kwargs={"parcel": "books"}, task_id=job.id)
    deliver(broker())
    message = broker()  # sent again, so that the worker's parent knows that it has a job
    assert runs == [] and message.headers["id"] == job.id and message.headers[HEADER]
    deliver(message)
    assert runs == ["books"] and again(job).state is JobState.COMPLETE and broker() is None


def test_a_task_sent_by_name_alone_is_a_plain_task(broker, runs):
    app.send_task(send_parcel.name, ["books"])
    assert deliver(broker()).retval == "kept by nobody"
    assert runs == ["books"] and broker() is None


def test_a_task_sent_by_name_runs_while_the_store_is_down(broker, runs, settings):
    app.send_task(send_parcel.name, ["books"])
    message = broker()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    deliver(message)
    assert runs == ["books"]


def test_a_task_sent_while_the_store_was_down_still_runs_its_job(broker, runs, settings):
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


def test_a_plain_delay_costs_the_worker_no_read(broker, runs, settings, caplog):
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


def test_each_plain_run_has_a_detached_job_of_its_own():
    @job_task(name="tests.look_at_itself")
    def look_at_itself(self):
        first = self.job
        self.job.data["x"] = 1
        return isinstance(first.stored, DetachedRecord), self.job is first, dict(self.job.data)

    assert look_at_itself() == (True, True, {"x": 1})
    assert look_at_itself.apply().get() == (True, True, {"x": 1})


def test_two_runs_of_a_task_write_to_their_own_jobs(broker):
    jobs = [send_parcel.start_job(annas(), parcel=name) for name in ("books", "toys")]
    for _ in jobs:
        deliver(broker())
    assert [again(job).data["receipt"] for job in jobs] == ["books sent", "toys sent"]
