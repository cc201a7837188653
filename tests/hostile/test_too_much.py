"""Too much of what is good: subscriptions, frames, pages at once (FAULTS.md H8, F37)."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from jobs.access import ticket
from jobs.consumers import TRY_LATER
from jobs.events import job_topic
from jobs.testing import JobCommunicator
from tests.factories import ANN, started_job
from tests.surroundings import database_file, nothing_left  # noqa: F401 - fixtures

pytestmark = pytest.mark.usefixtures("database_file", "nothing_left")


async def test_h08_more_subscriptions_than_allowed_are_refused_and_the_others_go_on(settings):
    settings.JOBS = settings.JOBS | {"MAX_FRAMES_PER_SECOND": 10_000}
    jobs = [await sync_to_async(started_job)() for _ in range(2)]
    async with JobCommunicator({}) as socket:
        answers = []
        for number in range(500):
            job = jobs[number % 2] if number < 2 else None
            target = {"job": job.id, "ticket": ticket(job_topic(job.id))} if job else {"tag": f"t{number}"}
            good = {"tag": f"t{number}", "ticket": ticket(f"tag:t{number}")}
            await socket.send_json_to({"action": "subscribe", **(target if job else good)})
            answers.append(await socket.next())
            if job:
                await socket.event("started")
        codes = [answer.get("code", answer["event"]) for answer in answers]
        assert codes == ["subscribed"] * 100 + ["too_many"] * 400
        await sync_to_async(jobs[0].set_progress)(1, 2)
        await socket.event("progress")


async def test_h08_a_socket_that_has_had_very_much_is_closed_so_that_one_who_never_reads_costs_little(monkeypatch):
    monkeypatch.setattr("jobs.consumers.MAX_SENT", 5000)
    job = await sync_to_async(started_job)()
    async with JobCommunicator(dict(ANN)) as socket:
        for _ in range(30):
            await socket.send_json_to({"action": "subscribe", "job": job.id})
        assert await socket.close_code() == TRY_LATER


async def test_h08_a_thousand_frames_a_second_close_the_socket_and_no_other():
    job = await sync_to_async(started_job)()
    async with JobCommunicator(dict(ANN), job.id) as neighbour, JobCommunicator(dict(ANN)) as socket:
        await neighbour.event("started")
        for _ in range(1000):
            await socket.send_json_to({"action": "ping"})
        assert await socket.close_code() == 4429
        await sync_to_async(job.set_progress)(1, 2)
        await neighbour.event("progress")


async def test_f37_hundreds_of_lists_that_open_at_once_are_all_served():
    await sync_to_async(started_job)()
    pages = [JobCommunicator({}) for _ in range(250)]
    try:
        await asyncio.gather(*(page.connect() for page in pages))
        mine = {
            "mine": True,
            "ticket": ticket("owner:visitor:ann"),
        }  # asks no database, whose one thread would space it out
        answers = await asyncio.gather(*(page.subscribe(**mine) for page in pages))
        assert {answer["event"] for answer in answers} == {"subscribed"}
    finally:
        await asyncio.gather(*(page.disconnect() for page in pages))
