"""What a project's own tests need: run jobs, capture events, speak to the socket."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from jobs.exceptions import JobNotFound, StoreUnavailable
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.testing import (
    JobCommunicator,
    advance_clock,
    broker_down,
    cancel_at_start,
    capture_events,
    drop_pushes,
    kill_worker,
    run_at_end,
    run_immediately,
    run_job,
    run_job_twice,
    store_down,
)
from jobs.waiting.leases import take_lease

from .factories import ANN, OWNER, browser, create_job, ended_job, request_of, started_job
from .tasks import deliver, report_once, send_parcel, stumble, wait_for_cancel


@pytest.mark.usefixtures("database_file")
def test_run_job_runs_a_job_to_its_end():
    job = run_job(send_parcel, request_of(dict(ANN)), parcel="books")
    assert (job.state, job.owner, job.data["receipt"]) == ("complete", OWNER, "books sent")
    assert JobRepository().find(job.id).state is JobState.COMPLETE


@pytest.mark.usefixtures("database_file")
@pytest.mark.parametrize(
    ("task", "kwargs", "state"),
    [
        (send_parcel, {"parcel": "stones", "weight": 99}, "failed"),
        (stumble, {"secret": "hunter2"}, "failed"),
        (wait_for_cancel, {}, "cancelled"),
    ],
)
def test_what_the_task_raises_ends_the_job_as_in_a_worker(task, kwargs, state):
    job = run_job(task, **kwargs)
    assert job.state == state and "hunter2" not in job.error


@pytest.mark.django_db
def test_a_job_is_run_inside_the_transaction_of_an_ordinary_test_too():
    assert run_job(send_parcel, parcel="books").state is JobState.COMPLETE


@pytest.mark.django_db
def test_a_unique_job_that_is_started_twice_is_run_once():
    first, second = run_job_twice(report_once, request_of(dict(ANN)), year=2026)
    assert (second.id, first.is_reused, second.is_reused) == (first.id, False, True)
    assert second.state is JobState.COMPLETE


@pytest.mark.django_db
def test_another_job_that_is_started_twice_is_run_twice():
    first, second = run_job_twice(send_parcel, parcel="books")
    assert first.id != second.id and first.state == second.state == "complete"


@pytest.mark.usefixtures("database_file")
def test_jobs_that_are_run_at_the_end_are_alive_until_then():
    with run_at_end():
        job = send_parcel.start_job(None, parcel="books")
        assert job.refresh().state is JobState.PENDING
    assert job.refresh().state is JobState.COMPLETE


@pytest.mark.usefixtures("database_file")
def test_jobs_that_a_view_starts_are_run_when_its_transaction_commits():
    with run_immediately():
        with transaction.atomic():
            job = send_parcel.start_job(None, parcel="books")
            assert job.is_draft
        assert JobRepository().find(job.id).state is JobState.COMPLETE


@pytest.mark.usefixtures("database_file")
def test_the_events_of_a_job_are_captured_in_order_one_for_each():
    with capture_events() as events:
        run_job(send_parcel, request_of(dict(ANN)), parcel="books")
    assert [event["event"] for event in events] == ["created", "started", "progress", "ready"]
    assert events[-1]["job"]["version"] > events[0]["job"]["version"] > 10**15
    create_job()
    assert len(events) == 4


@pytest.mark.usefixtures("database_file", "nothing_left")
async def test_captured_events_still_reach_the_pages():
    job = await sync_to_async(create_job)()
    async with JobCommunicator(ANN, job.id) as page:
        with capture_events() as events:
            await sync_to_async(job.complete)()
            assert (await page.event("ready"))["id"] == job.id
    assert [event["event"] for event in events] == ["ready"]


@pytest.mark.usefixtures("database_file", "nothing_left")
async def test_the_communicator_speaks_the_protocol():
    job = await sync_to_async(create_job)()
    async with JobCommunicator(ANN) as page:
        assert await page.ask(action="ping") == {"event": "pong"}
        assert await page.subscribe(job=job.id) == {"event": "subscribed", "job": job.id}
        assert (await page.next())["event"] == "created"
        await sync_to_async(job.start)()
        await sync_to_async(job.complete)()
        assert (await page.event("ready"))["state"] == "complete"


@pytest.mark.usefixtures("database_file", "nothing_left")
async def test_the_communicator_returns_the_close_code_and_times_out():
    async with JobCommunicator({}, "nobody") as page:
        assert await page.close_code() == 4404
    with pytest.raises(TimeoutError):
        async with JobCommunicator(ANN) as page:
            await page.next(timeout=0.05)


@pytest.mark.usefixtures("database_file", "nothing_left")
async def test_the_communicator_can_leave_the_origin_out():
    async with JobCommunicator(ANN, origin=None) as page:
        assert await page.close_code() == 4400
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("make", "seconds", "before", "after"),
    [
        (create_job, 3600, "pending", "expired"),
        (started_job, 45, "running", "lost"),
        (ended_job, 3600, "complete", "complete"),
    ],
)
def test_advancing_the_clock_lets_deadlines_pass(make, seconds, before, after):
    job = make()
    advance_clock(seconds - 5, job)
    assert job.refresh().state == before
    advance_clock(5, job)
    assert job.refresh().state == after


@pytest.mark.django_db
def test_redis_forgets_an_old_job_and_the_archive_does_not(redis_client):
    job = ended_job()
    advance_clock(86400, job)
    assert redis_client.keys(f"jobs:*{job.id}*") == []
    advance_clock(1, job)
    assert redis_client.keys(f"jobs:*{job.id}*") == []
    assert JobRepository().find(job.id).state is JobState.COMPLETE


@pytest.mark.django_db
def test_advancing_the_clock_ends_leases_and_ages_the_job():
    job, created = ended_job(), JobRepository().find(ended_job().id).created_at
    assert take_lease(job, "a", 30)
    advance_clock(31, job)
    assert take_lease(job.refresh(), "b", 30)
    assert (created - job.refresh().created_at).total_seconds() == pytest.approx(31, abs=5)


def test_a_negative_number_of_seconds_is_refused():
    with pytest.raises(ValueError, match="-1 seconds cannot pass"):
        advance_clock(-1)


@pytest.mark.usefixtures("database_file")
def test_without_a_broker_the_job_fails_and_the_view_goes_on():
    with broker_down():
        job = send_parcel.start_job(request_of(dict(ANN)), parcel="books")
    assert job.error == "The work could not be started. Please try again later."


@pytest.mark.usefixtures("database_file")
def test_without_the_store_a_page_says_so_and_the_archive_still_answers():
    alive, ended = create_job(), ended_job()
    with store_down():
        with pytest.raises(StoreUnavailable):
            send_parcel.start_job(request_of(dict(ANN)), parcel="books")
        assert browser(ANN).get(f"/jobs/{alive.id}/").status_code == 503
        assert browser(ANN).get(f"/jobs/{ended.id}/").status_code == 200
    assert browser(ANN).get(f"/jobs/{alive.id}/").status_code == 200


@pytest.mark.usefixtures("database_file", "nothing_left")
async def test_a_page_whose_push_is_lost_gets_the_end_by_reconciliation(settings):
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 1}
    job = await sync_to_async(create_job)()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("created")
        with drop_pushes():
            await sync_to_async(job.start)()
            await sync_to_async(job.complete)()
            assert await page.ask(action="ping") == {"event": "pong"}
        assert (await page.event("ready"))["id"] == job.id


@pytest.mark.usefixtures("database_file")
def test_a_job_whose_worker_is_killed_runs_until_it_is_lost():
    with kill_worker():
        job = run_job(send_parcel, parcel="books")
    assert (job.state, "receipt" in job.data) == ("running", False)
    advance_clock(45, job)
    assert job.refresh().state is JobState.LOST


@pytest.mark.usefixtures("database_file")
def test_a_cancel_takes_effect_at_the_first_progress_call():
    with cancel_at_start():
        job = run_job(send_parcel, request_of(dict(ANN)), parcel="books")
    assert (job.state, "receipt" in job.data) == ("cancelled", False)
    assert run_job(send_parcel, parcel="books").state == "complete"


@pytest.mark.usefixtures("database_file")
def test_advancing_the_clock_does_not_revive_a_forgotten_job():
    job = create_job()
    advance_clock(3600 + 86400, job)  # START_TIMEOUT and TTL
    advance_clock(1, job)
    with pytest.raises(JobNotFound):
        JobRepository().find(job.id)


@pytest.mark.usefixtures("database_file")
@pytest.mark.parametrize(
    "block",
    [
        run_immediately,
        run_at_end,
        capture_events,
        broker_down,
        store_down,
        drop_pushes,
        kill_worker,
        cancel_at_start,
    ],
)
def test_overlapping_blocks_leave_nothing_behind(broker, block):
    first, second = block(), block()
    first.__enter__(), second.__enter__()
    first.__exit__(None, None, None), second.__exit__(None, None, None)
    with capture_events() as events:
        job = send_parcel.start_job(None, parcel="books")
        assert job.state is JobState.PENDING
        deliver(broker())
    assert [event["event"] for event in events] == ["created", "started", "progress", "ready"]


@pytest.mark.django_db
def test_nested_captures_both_collect_the_events():
    with capture_events() as outer:
        create_job()
        with capture_events() as inner:
            create_job()
    assert (len(outer), len(inner)) == (2, 1)
