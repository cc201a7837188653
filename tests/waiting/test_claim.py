"""A claim of an ended job: the hook runs exactly once, and every call returns the same place."""

import threading
from functools import partial
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.contrib.messages.storage import default_storage
from django.db import InterfaceError, OperationalError, transaction
from django.urls import reverse_lazy

from jobs.exceptions import StoreUnavailable
from jobs.handlers import JobHandler
from jobs.models import JobRecord
from jobs.states import JobState
from jobs.waiting import claim as claim_module
from jobs.waiting.claim import claim
from jobs.waiting.hook import ClaimFailed
from jobs.waiting.leases import take_lease
from tests.factories import (
    ANN,
    NOWHERE,
    again,
    at_once,
    commands,
    ended_job,
    eventually,
    plant,
    request_of,
    started_job,
)

pytestmark = pytest.mark.usefixtures("database_file")


def visit(**headers):
    """Return the owner's request, with messages."""
    request = request_of(dict(ANN), path="/jobs/", **headers)
    request._messages = default_storage(request)
    return request


def hooks():
    """Return what the hooks have written to the database."""
    return list(Group.objects.order_by("name").values_list("name", flat=True))


def said(request):
    return [str(message) for message in get_messages(request)]


def test_a_claim_runs_the_hook_and_returns_where_to_go():
    request, job = visit(), ended_job()
    assert claim(job, request) == "/parcels/"
    assert hooks() == ["delivered 0"] and said(request) == ["Your parcel is here."]
    assert (again(job).claimed_url, JobRecord.objects.get().claimed_url) == (
        "/parcels/",
        "/parcels/",
    )


@pytest.mark.parametrize(
    "state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.LOST]
)
def test_any_other_end_runs_on_failed(state):
    assert claim(ended_job(state), visit()) == "/lost-parcels/"
    assert hooks() == ["not delivered 0"]


def test_a_second_call_gets_the_same_place_and_runs_nothing():
    job = ended_job()
    first, stale = claim(job, visit()), unaware_of_the_claim(job)
    assert claim(again(job), visit()) == claim(stale, visit()) == first
    assert hooks() == ["delivered 0"]


def test_a_job_known_to_be_claimed_needs_no_redis(redis_client):
    job = ended_job()
    claim(job, visit())
    claimed, request = again(job), visit()
    assert commands(redis_client, lambda: claim(claimed, request)) == []


def unaware_of_the_claim(job):
    stale = again(job)
    stale.record = stale.record.replace(claimed_at=0, claimed_url="", leased_until=0)
    return stale


def test_the_place_is_stored_and_computed_once():
    job = ended_job(data={"next": "/first/"})
    assert claim(job, visit()) == "/first/"
    job.record = job.record.replace(data={"next": '"/second/"'})
    assert claim(job, visit()) == "/first/"


def test_of_twenty_simultaneous_claims_one_runs_the_hook():
    job = ended_job()
    urls = at_once([partial(claim, again(job), visit()) for _ in range(20)])
    assert urls == ["/parcels/"] * 20
    assert hooks() == ["delivered 0"]


def test_of_many_claims_without_redis_one_runs_the_hook(settings):
    job = ended_job()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    urls = at_once([partial(claim, again(job), visit()) for _ in range(8)])
    assert urls == ["/parcels/"] * 8 and hooks() == ["delivered 0"]


def test_a_hook_that_raises_leaves_nothing_and_may_be_tried_again(caplog):
    job, request = ended_job(data={"fragile": True}), visit()
    with pytest.raises(ClaimFailed) as failure:
        claim(job, request)
    assert "hunter2" not in str(failure.value)
    assert hooks() == [] and said(request) == []
    assert not again(job).claimed_url and not JobRecord.objects.get().claimed_at
    assert f"job {job.id}: the hook of tests.handlers.PostHandler failed" in caplog.text


def test_a_retried_hook_shows_its_message_once(redis_client):
    job, request = ended_job(data={"fragile": True}), visit()
    with pytest.raises(ClaimFailed):
        claim(job, request)
    plant(redis_client, job, **{"data.fragile": "false"})
    assert claim(again(job), request) == "/parcels/"
    assert hooks() == ["delivered 0"] and said(request) == ["Your parcel is here."]


class Unhappy(JobHandler):
    """Its hook succeeds, and then `next_url` raises."""

    def on_ready(self, request):
        Group.objects.create(name="delivered")

    def next_url(self, request):
        raise RuntimeError("no way out")


def test_a_next_url_that_raises_rolls_the_hook_back_too():
    job = ended_job(handler_class=Unhappy)
    with pytest.raises(ClaimFailed):
        claim(job, visit())
    assert hooks() == []


def test_a_missing_handler_fails_the_claim_and_is_logged(redis_client, caplog):
    job = ended_job()
    plant(redis_client, job, handler_class="shop.handlers.Renamed")
    with pytest.raises(ClaimFailed):
        claim(again(job), visit())
    assert f"job {job.id}: the hook of shop.handlers.Renamed failed" in caplog.text


def test_after_redis_was_emptied_the_archive_still_allows_the_claim(redis_client):
    job = ended_job(data={"next": "/from-the-archive/"})
    redis_client.flushall()
    assert claim(again(job), visit()) == "/from-the-archive/"
    assert hooks() == ["delivered 0"]


def test_after_redis_was_emptied_no_hook_runs_again(redis_client):
    job = ended_job()
    claim(job, visit())
    redis_client.flushall()
    assert claim(again(job), visit()) == "/parcels/"
    assert hooks() == ["delivered 0"]


def test_a_redis_emptied_just_before_the_claim_does_no_harm(redis_client):
    job = ended_job()
    found = again(job)
    redis_client.flushall()
    assert claim(found, visit()) == "/parcels/" and claim(again(job), visit()) == "/parcels/"
    assert hooks() == ["delivered 0"]


def test_a_claim_archives_a_job_that_was_not_archived_yet():
    job = ended_job()
    JobRecord.objects.all().delete()
    assert claim(job, visit()) == "/parcels/"
    assert JobRecord.objects.get().claimed_url == "/parcels/" and hooks() == ["delivered 0"]


@pytest.mark.parametrize("problem", [OperationalError, InterfaceError])
def test_a_busy_database_lets_the_claim_be_repeated(monkeypatch, problem):
    job = ended_job()
    JobRecord.objects.all().delete()
    with monkeypatch.context() as patched:
        patched.setattr(claim_module, "archive_now", Mock(side_effect=problem("locked")))
        with pytest.raises(StoreUnavailable, match="the database is busy"):
            claim(job, visit())
    assert hooks() == [] and not again(job).record.leased_until
    assert claim(again(job), visit()) == "/parcels/"


def test_an_outcome_newer_than_the_archive_s_counts():
    job = ended_job()
    JobRecord.objects.update(state="lost", version=1)
    assert claim(job, visit()) == "/parcels/"
    assert JobRecord.objects.get().state == "complete"


def test_a_claim_waits_for_another_claim():
    entered, go_on = threading.Event(), threading.Event()

    class Slow(JobHandler):
        def on_ready(self, request):
            entered.set()
            assert go_on.wait(5)

    job = ended_job(handler_class=Slow)
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.extend(at_once([lambda: claim(again(job), visit())]))
        )
    ]
    threads[0].start()
    assert entered.wait(5)
    threads.append(
        threading.Thread(
            target=lambda: results.extend(at_once([lambda: claim(again(job), visit())]))
        )
    )
    threads[1].start()
    assert results == []
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert results == ["/jobs/", "/jobs/"]


def test_a_dead_claim_is_taken_over_after_its_lease(settings):
    settings.JOBS = settings.JOBS | {"READY_LEASE": 0.2}
    job = ended_job()
    assert take_lease(job, "dead", 0.2)  # its process died right after this
    assert claim(again(job), visit()) == "/parcels/"
    assert hooks() == ["delivered 0"]


def test_a_claim_that_dies_in_its_transaction_leaves_no_claim():
    job = ended_job()
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        JobRecord.objects.update(claimed_url="/half-way/")
        raise KeyboardInterrupt
    assert claim(job, visit()) == "/parcels/"


def test_without_an_archive_the_lease_alone_guards_the_hook(settings):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    job = ended_job()
    urls = at_once([partial(claim, again(job), visit()) for _ in range(8)])
    assert urls == ["/parcels/"] * 8 and hooks() == ["delivered 0"]
    assert not JobRecord.objects.exists()


@pytest.mark.parametrize(
    "url", ["/parcels/7/?a=1#b", "http://testserver/x", reverse_lazy("jobs:list")]
)
def test_a_url_on_this_host_is_allowed(url):
    class Guide(JobHandler):
        def next_url(self, request):
            return url

    assert claim(ended_job(handler_class=Guide), visit()) == str(url)


def test_a_relative_url_starts_from_the_waiting_page():
    job = ended_job(data={"next": "../../parcels/?a=1"})
    assert claim(job, visit()) == "/parcels/?a=1"
    assert claim(again(job), visit()) == "/parcels/?a=1"


ELSEWHERE = [
    "http://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "http:evil.example",
    "http:///evil.example",
    "https://testserver@evil.example/",
    "http://testserver:80@evil.example/",
    "http://testserver.evil.example/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "ftp://testserver/",
    "/a\r\nSet-Cookie: x=1",
    "/a\nb",
    "\x00/a",
    "\u2028/a",
    "/" + "x" * 3000,
    "",
]


@pytest.mark.parametrize("url", ELSEWHERE, ids=lambda url: repr(url)[:30])
def test_a_url_elsewhere_is_replaced_by_the_list_and_logged(caplog, url):
    class Lure(JobHandler):
        def next_url(self, request):
            return url

    job = ended_job(handler_class=Lure)
    assert claim(job, visit()) == "/jobs/"
    assert f"job {job.id}: {job.handler_class} would redirect to" in caplog.text
    assert again(job).claimed_url == "/jobs/"


def test_a_handler_that_returns_no_url_leads_to_the_list(caplog):
    class Forgetful(JobHandler):
        def next_url(self, request):
            pass

    assert claim(ended_job(handler_class=Forgetful), visit()) == "/jobs/"
    assert "would redirect to None" in caplog.text


def test_hosts_allowed_by_the_project_are_allowed(settings):
    settings.JOBS = settings.JOBS | {"ALLOWED_REDIRECT_HOSTS": ["pay.example"]}
    assert (
        claim(ended_job(data={"next": "https://pay.example/x"}), visit())
        == "https://pay.example/x"
    )
    assert claim(ended_job(data={"next": "https://evil.example/x"}), visit()) == "/jobs/"


def test_a_secure_page_never_redirects_to_an_insecure_one():
    request = visit(secure=True)
    assert request.is_secure()
    assert claim(ended_job(data={"next": "http://testserver/x"}), request) == "/jobs/"


def test_a_lost_job_that_completes_before_its_claim_is_claimed_as_complete(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 0.02}
    worker = started_job()
    lost = eventually(lambda: (found := again(worker)).state is JobState.LOST and found)
    worker.complete()
    assert claim(lost, visit()) == "/parcels/"
    assert hooks() == ["delivered 0"] and JobRecord.objects.get().state == "complete"


def test_a_request_without_messages_can_claim():
    class Quiet(JobHandler):
        def next_url(self, request):
            return "/quiet/"

    assert claim(ended_job(handler_class=Quiet), request_of(ANN)) == "/quiet/"
