"""What a project's own tests need: run jobs, capture events, speak to the socket."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.testing import JobCommunicator, capture_events, run_at_once, run_job

from .factories import ANN, OWNER, create_job, request_of
from .surroundings import database_file, nothing_left  # noqa: F401 - fixtures
from .tasks import send_parcel, stumble, wait_for_cancel


@pytest.mark.usefixtures("database_file")
def test_a_job_is_run_to_its_end_here_and_now():
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
def test_what_the_task_raises_is_the_job_s_end_as_in_a_worker(task, kwargs, state):
    job = run_job(task, **kwargs)
    assert job.state == state and "hunter2" not in job.error


@pytest.mark.django_db
def test_a_job_is_run_inside_the_transaction_of_an_ordinary_test_too():
    assert run_job(send_parcel, parcel="books").state is JobState.COMPLETE


@pytest.mark.usefixtures("database_file")
def test_jobs_that_a_view_starts_are_run_when_its_transaction_commits():
    with run_at_once():
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
async def test_the_communicator_tells_the_code_of_a_close_and_gives_up_waiting():
    async with JobCommunicator({}, "nobody") as page:
        assert await page.close_code() == 4404
    with pytest.raises(TimeoutError):
        async with JobCommunicator(ANN) as page:
            await page.next(timeout=0.05)


@pytest.mark.usefixtures("database_file", "nothing_left")
async def test_a_page_from_elsewhere_can_be_played():
    async with JobCommunicator(ANN, origin=None) as page:
        assert await page.close_code() == 4400
    assert asyncio.all_tasks() == {asyncio.current_task()}
