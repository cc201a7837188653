"""Jobs whose work is a task of Django's own, by the immediate backend (Django 6.0 and newer)."""

import threading
from types import SimpleNamespace

import django
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from jobs.django_tasks import current_job, start_job, submit_job
from jobs.exceptions import HandlerNotFound, StoreUnavailable, UnserializableData
from jobs.models import JobRecord
from jobs.queues.django_tasks import on_started
from jobs.repository import JobRepository
from jobs.store import indexes, records
from jobs.testing import advance_clock, capture_events, store_down

from .factories import ANN, OWNER, browser, eventually, request_of

since_6 = pytest.mark.skipif(django.VERSION < (6,), reason="django.tasks came with Django 6.0")

pytestmark = pytest.mark.usefixtures("database_file")

if django.VERSION >= (6,):
    from django.tasks import signals

    from . import django_tasks as tasks


def ann():
    """Return a request of Ann's."""
    return request_of(dict(ANN))


def test_before_django_6_a_start_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("jobs.queues.django_tasks.signals", None)
    with pytest.raises(ImproperlyConfigured, match="Django 6.0 or newer"):
        start_job(ann(), object())


def test_outside_of_a_task_the_current_job_is_stored_nowhere():
    current_job().set_progress(1, 2)
    assert JobRecord.objects.count() == 0


@since_6
def test_a_task_is_a_job_from_its_start_to_its_end():
    with capture_events() as events:
        job = start_job(ann(), tasks.send_letter, parcel="books")
    assert (job.state, job.owner, job.attempt) == ("complete", OWNER, 1)
    assert dict(job.data) == {"parcel": "books", "receipt": "books sent"}
    assert [event["event"] for event in events] == ["created", "started", "progress", "ready"]


@since_6
def test_positional_arguments_are_kept_by_their_names():
    job = start_job(ann(), tasks.send_letter, "books", weight=2)
    assert dict(job.data) == {"parcel": "books", "weight": 2, "receipt": "books sent"}
    assert dict(start_job(ann(), tasks.with_context, "books").data) == {"parcel": "books"}


@since_6
def test_the_handler_decides_where_the_owner_goes():
    job = start_job(ann(), tasks.send_letter, parcel="books")
    assert browser(ANN).post(f"/jobs/{job.id}/ready/")["Location"] == "/parcels/"


@since_6
def test_only_the_text_of_a_job_error_is_shown_to_the_owner(caplog):
    told = start_job(ann(), tasks.send_letter, parcel="stones", weight=99)
    accident = start_job(ann(), tasks.stumble, secret="hunter2")
    assert (told.state, told.error) == ("failed", "stones is too heavy.")
    assert accident.state == "failed" and "hunter2" not in accident.error
    assert accident.error.rstrip(".").split()[-1] in caplog.text


@since_6
def test_a_cancel_takes_effect_at_its_next_progress_call():
    assert start_job(ann(), tasks.ask_to_stop).state == "cancelled"


@since_6
def test_an_asynchronous_task_has_its_job_too():
    assert start_job(ann(), tasks.asynchronous).state == "complete"


@since_6
def test_a_task_that_is_only_enqueued_has_no_job():
    tasks.plain.enqueue()
    assert indexes.all_ids(0, 10) == []


@since_6
def test_a_task_that_enqueues_others_keeps_its_own_job():
    job = start_job(ann(), tasks.send_two, first="books", second="cheese")
    assert (job.state, job.data["receipt"]) == ("complete", "books")
    assert len(indexes.all_ids(0, 10)) == 2


@since_6
def test_submit_job_takes_handler_data_tags_and_owner():
    job = submit_job(
        None,
        tasks.send_letter,
        ["books"],
        handler_class="jobs.handlers.JobHandler",
        tags=["post"],
        owner="user:5",
    )
    assert (job.handler_class, job.tags, job.owner) == (
        "jobs.handlers.JobHandler",
        ("post",),
        "user:5",
    )
    assert dict(job.data) == {"receipt": "books sent"}


@since_6
def test_a_job_that_cannot_be_stored_is_not_enqueued(monkeypatch):
    enqueued = []
    monkeypatch.setattr(
        "django.tasks.backends.immediate.ImmediateBackend.enqueue",
        lambda *args: enqueued.append(1),
    )
    with pytest.raises(HandlerNotFound):
        submit_job(None, tasks.plain, handler_class="os.system")
    with pytest.raises(UnserializableData):
        submit_job(None, tasks.plain, data={"when": object()})
    with pytest.raises(ValueError, match="Give a list"):
        submit_job(None, tasks.plain, tags="post")
    with store_down(), pytest.raises(StoreUnavailable):
        start_job(None, tasks.plain)
    assert enqueued == []


@since_6
def test_inside_a_transaction_the_task_has_its_job_as_well():
    with transaction.atomic():
        job = start_job(ann(), tasks.send_letter, parcel="books")
    assert JobRepository().find(job.id).state == "complete"


@since_6
def test_a_backend_that_runs_nothing_leaves_the_job_pending(settings):
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    job = start_job(ann(), tasks.plain)
    assert (job.state, job.owner) == ("pending", OWNER)
    advance_clock(3601, job)
    assert job.refresh().state == "expired"


@since_6
def test_a_backend_that_fails_after_it_has_enqueued_fails_the_job(monkeypatch):
    def refuse(backend, task, args, kwargs):
        signals.task_enqueued.send(
            type(backend), task_result=SimpleNamespace(id="lost", task=task, backend="")
        )
        raise ConnectionError("no queue")

    monkeypatch.setattr("django.tasks.backends.immediate.ImmediateBackend.enqueue", refuse)
    with pytest.raises(ConnectionError):
        start_job(ann(), tasks.plain)
    assert JobRepository().find("lost").state == "failed"


@since_6
def test_the_heart_keeps_a_silent_task_alive_and_stops_with_it(settings, monkeypatch):
    settings.JOBS = settings.JOBS | {"HEARTBEAT": 0.05}
    beat, beaten = records.beat, []
    monkeypatch.setattr(
        records,
        "beat",
        lambda ids, lost_after: (beat(ids, lost_after), beaten.extend(ids), tasks.BEATEN.set()),
    )
    job = start_job(None, tasks.be_silent)
    assert (job.state, set(beaten)) == ("complete", {job.id})
    eventually(
        lambda: (
            not [
                thread for thread in threading.enumerate() if thread.name.startswith("jobs-heart-")
            ]
        )
    )


@since_6
@pytest.mark.parametrize(("task", "state"), [("plain", "complete"), ("fail_quickly", "failed")])
def test_a_task_that_ends_before_its_job_is_stored_ends_the_job(settings, task, state):
    settings.TASKS = {"default": {"BACKEND": "tests.django_tasks.QuickBackend"}}
    job = start_job(ann(), getattr(tasks, task))
    assert (job.state, JobRepository().find(job.id).state) == (state, state)


@since_6
def test_a_task_that_starts_before_its_job_is_stored_ends_the_job(monkeypatch):
    signals.task_started.disconnect(dispatch_uid="jobs.django_tasks")
    try:
        job = start_job(ann(), tasks.plain)
    finally:
        signals.task_started.connect(on_started, dispatch_uid="jobs.django_tasks")
    assert (job.state, job.attempt) == ("complete", 0)
