"""Claims that meet a worker, another claim, or a database at the wrong moment."""

import threading
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Group
from django.contrib.messages.storage import default_storage
from django.db import OperationalError, connections

from jobs.exceptions import JobEnded, StoreUnavailable
from jobs.handlers import JobHandler
from jobs.job import Job
from jobs.models import JobRecord
from jobs.repository import JobRepository
from jobs.signals import job_ended
from jobs.states import JobState
from jobs.store import records
from jobs.waiting import claim as claim_module
from jobs.waiting.claim import NotEnded, claim
from jobs.waiting.leases import take_lease
from tests.factories import (
    ANN,
    JSON,
    NOWHERE,
    again,
    at_once,
    browser,
    create_job,
    ended_job,
    eventually,
    locked_database,
    lost_job,
    request_of,
    started_job,
)

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture
def lost(settings):
    """Return a lost job twice: as its silent worker holds it, and as its owner finds it."""
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 0.02, "PROGRESS_PER_SECOND": 1000}
    worker, found = lost_job()
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 60}
    return worker, found


def visit():
    """Return the owner's request, with messages."""
    request = request_of(dict(ANN))
    request._messages = default_storage(request)
    return request


def hooks():
    return list(Group.objects.order_by("name").values_list("name", flat=True))


def row():
    return JobRecord.objects.values_list("state", "claimed_url").get()


@contextmanager
def before(action, place, name):
    """Run the action once, just before the first call of this function."""
    real, todo = getattr(place, name), [action]

    def run(*args, **kwargs):
        if todo:
            todo.pop()()
        return real(*args, **kwargs)

    with patch.object(place, name, run):
        yield


class SlowHandler(JobHandler):
    """Takes longer than a lease."""

    entered = threading.Event()
    go_on = threading.Event()

    def on_ready(self, request):
        self.entered.set()
        assert self.go_on.wait(10)
        Group.objects.create(name=f"slow {Group.objects.count()}")

    def next_url(self, request):
        return "/slow/"


@pytest.fixture
def slow():
    SlowHandler.entered.clear()
    SlowHandler.go_on.clear()
    yield SlowHandler
    SlowHandler.go_on.set()


@pytest.mark.parametrize("word", [lambda job: job.set_progress(1, 2), Job.complete])
def test_f43_a_worker_that_writes_before_the_lease_wins(lost, word):
    worker, found = lost
    with before(lambda: word(worker), claim_module, "take_lease"):
        try:
            assert claim(found, visit()) == "/parcels/"  # it has completed
        except NotEnded:
            assert hooks() == [] and row() == ("lost", "")
            worker.complete()
    assert claim(again(worker), visit()) == "/parcels/"
    assert hooks() == ["delivered 0"] and row() == ("complete", "/parcels/")


def test_f43_the_page_of_a_job_that_came_back_keeps_waiting(lost):
    worker, found = lost
    with before(lambda: worker.set_progress(1, 2), claim_module, "take_lease"):
        answer = browser(ANN).post(f"/jobs/{found.id}/ready/", **JSON)
    assert (answer.status_code, answer.json()["job"]["state"]) == (409, "running")
    with before(lambda: worker.set_progress(2, 2), claim_module, "take_lease"):
        answer = browser(ANN).post(f"/jobs/{found.id}/ready/")
    assert (answer.status_code, answer["Location"]) == (303, f"/jobs/{found.id}/")


def test_f43_a_claim_that_outlived_its_lease_yields_to_the_worker(lost, settings):
    settings.JOBS = settings.JOBS | {"READY_LEASE": 0.01}
    worker, found = lost

    def speak():
        eventually(
            lambda: records.read(worker.id).record.leased_until < records.read(worker.id).now
        )
        worker.set_progress(1, 2)

    with (
        patch("jobs.waiting.leases.LeaseKeeper._renew"),  # as if the process stood still
        before(speak, claim_module, "_claim_row"),
        pytest.raises(NotEnded),
    ):
        claim(found, visit())
    assert hooks() == [] and again(worker).state is JobState.RUNNING
    worker.complete()
    assert claim(again(worker), visit()) == "/parcels/"


def test_the_archive_refuses_a_job_that_has_not_ended():
    with pytest.raises(ValueError, match=r"is running\. Only a job that has ended"):
        JobRecord.objects.store(started_job().record)
    assert not JobRecord.objects.exists()


@pytest.mark.parametrize("has_archive", [True, False])
def test_f44_a_hook_slower_than_its_lease_runs_once(settings, slow, has_archive):
    settings.JOBS = settings.JOBS | {"READY_LEASE": 0.3, "ARCHIVE": has_archive}
    job = ended_job(handler_class=slow)
    posts = [partial(claim, again(job), visit()) for _ in range(20)]
    until = threading.Timer(1.0, slow.go_on.set)  # three leases later
    until.start()
    assert at_once(posts) == ["/slow/"] * 20
    assert hooks() == ["slow 0"]


def test_f44_a_claim_that_waits_too_long_gets_a_503(monkeypatch, slow):
    monkeypatch.setattr(claim_module, "CLAIM_WAIT_SECONDS", 0.1)
    job, page = ended_job(handler_class=slow), browser(ANN)
    first = threading.Thread(target=lambda: at_once([partial(claim, again(job), visit())]))
    first.start()
    assert slow.entered.wait(5)
    answer = page.post(f"/jobs/{job.id}/ready/", **JSON)
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    slow.go_on.set()
    first.join(10)
    assert page.post(f"/jobs/{job.id}/ready/", **JSON).json() == {"url": "/slow/"}


def test_f45_a_claim_on_a_locked_database_gets_503_and_frees_the_lease(monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict["OPTIONS"], "timeout", 0.2)
    connections["default"].close()
    job, page = ended_job(), browser(ANN)
    with locked_database():
        answer = page.post(f"/jobs/{job.id}/ready/", **JSON)
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert not again(job).record.leased_until
    assert page.post(f"/jobs/{job.id}/ready/", **JSON).json() == {"url": "/parcels/"}


@pytest.mark.parametrize("error", [OperationalError("deadlock"), KeyboardInterrupt, SystemExit])
def test_f45_whatever_ends_a_claim_gives_its_lease_back(error):
    class Interrupted(JobHandler):
        def on_ready(self, request):
            raise error

    job = ended_job(handler_class=Interrupted)
    with pytest.raises((StoreUnavailable, KeyboardInterrupt, SystemExit)):
        claim(job, visit())
    assert not again(job).record.leased_until and not JobRecord.objects.get().claimed_at


def test_f46_a_lost_job_is_not_claimed_without_the_store(lost, settings):
    worker, found = lost
    jobs = settings.JOBS
    settings.JOBS = jobs | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        claim(again(found), visit())
    settings.JOBS = jobs
    worker.complete()
    assert claim(again(worker), visit()) == "/parcels/"
    assert hooks() == ["delivered 0"]


@pytest.mark.parametrize("word", [lambda job: job.set_progress(1, 2), Job.complete])
def test_f46_a_claim_that_redis_missed_still_refuses_the_worker(lost, word, settings):
    settings.JOBS = settings.JOBS | {"READY_LEASE": 0.1}
    worker, found = lost
    with patch.object(claim_module, "mark_claimed", side_effect=StoreUnavailable("away")):
        assert claim(found, visit()) == "/lost-parcels/"
    eventually(lambda: records.read(worker.id).record.leased_until < records.read(worker.id).now)
    with pytest.raises(JobEnded, match="claimed as lost, and its owner has seen that"):
        word(worker)
    assert again(worker).claimed_url == "/lost-parcels/" and hooks() == ["not delivered 0"]
    assert row() == ("lost", "/lost-parcels/")


def test_f47_a_worker_s_outcome_is_stored_after_a_dead_claim_s_lease(lost):
    worker, found = lost
    heard = []
    job_ended.connect(heard_of := lambda job, **_: heard.append(job.state))
    assert take_lease(found, "dead", 0.5)
    worker.complete()
    assert (worker.state, again(worker).state) == ("complete", "lost")  # kept by the worker
    eventually(lambda: again(worker).state is JobState.COMPLETE)
    assert eventually(lambda: heard) == ["complete"] and row() == ("complete", "")
    job_ended.disconnect(heard_of)
    assert claim(again(worker), visit()) == "/parcels/"


def test_f47_data_written_during_a_lease_arrives_with_the_end(lost):
    worker, found = lost
    assert take_lease(found, "dead", 0.2)
    worker.data["receipt"] = 7
    worker.complete()
    eventually(lambda: again(worker).state is JobState.COMPLETE)
    assert again(worker).data["receipt"] == 7


@contextmanager
def unanswered(interloper):
    """Lose the answer to the next write, and let another writer come before its repetition."""
    real, todo = records.run, [interloper]

    def run(call):
        answer = real(call)
        if todo:
            todo.pop()()
            return real(call)
        return answer

    with patch.object(records, "run", run):
        yield


def test_f48_an_end_with_a_lost_answer_is_recognised_after_other_writes(settings):
    job, heard = started_job(), []
    job_ended.connect(heard_of := lambda job, **_: heard.append(job.state))
    with unanswered(lambda: take_lease(again(job), "a", 30)):
        job.complete()
    job_ended.disconnect(heard_of)
    assert heard == ["complete"] and row() == ("complete", "")


def test_f48_a_start_with_a_lost_answer_counts_once():
    job = create_job()
    with unanswered(lambda: again(job).cancel()):
        job.start()
    assert (again(job).attempt, again(job).is_cancel_asked) == (1, True)


def test_f48_a_creation_with_a_lost_answer_is_recognised_as_ours():
    real, todo = records.run_all, [1]

    def run_all(calls):
        answers = real(calls)
        if todo and calls[0].script == "write":
            todo.pop()
            JobRepository().find(job_id).cancel()
            return real(calls)
        return answers

    job_id = "parcel-48"
    with patch.object(records, "run_all", run_all):
        job = create_job(id=job_id)
    assert job.state is JobState.CANCELLED and not todo


def test_f48_an_end_repeated_after_an_outage_is_recognised(lost):
    """Redis did the write, but its answer was lost, and Redis was away during every retry."""
    job, real, heard = started_job(), records.run, []

    def run(call):
        real(call)
        raise StoreUnavailable("the answer was lost")

    job_ended.connect(heard_of := lambda job, **_: heard.append(job.state))
    with patch.object(records, "run", run):
        job.complete()
    assert eventually(lambda: heard) == ["complete"]
    job_ended.disconnect(heard_of)
