"""Too much of what is good: subscriptions, frames, pages at once (FAULTS.md H8, H21, F37)."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from jobs.access import Viewer, ticket
from jobs.core.topics import job_topic
from jobs.live import budget
from jobs.live.consumer import TRY_LATER, JobConsumer
from jobs.live.sent_versions import SentVersions
from jobs.live.subscription import Subscription
from jobs.testing import JobCommunicator
from tests.factories import ANN, BOB, OWNER, ended_job, started_job

pytestmark = pytest.mark.usefixtures("database_file", "nothing_left")


async def test_h08_more_subscriptions_than_allowed_are_refused_and_the_others_go_on(settings):
    settings.JOBS = settings.JOBS | {"MAX_FRAMES_PER_SECOND": 10_000}
    jobs = [await sync_to_async(started_job)() for _ in range(2)]
    async with JobCommunicator({}) as socket:
        answers = []
        for number in range(500):
            job = jobs[number % 2] if number < 2 else None
            target = (
                {"job": job.id, "ticket": ticket(job_topic(job.id))}
                if job
                else {"tag": f"t{number}"}
            )
            good = {"tag": f"t{number}", "ticket": ticket(f"tag:t{number}")}
            await socket.send_json_to({"action": "subscribe", **(target if job else good)})
            answers.append(await socket.next())
            if job:
                await socket.event("started")
        codes = [answer.get("code", answer["event"]) for answer in answers]
        assert codes == ["subscribed"] * 100 + ["too_many"] * 400
        await sync_to_async(jobs[0].set_progress)(1, 2)
        await socket.event("progress")


async def test_h08_a_socket_is_closed_after_a_maximum_of_sent_bytes(
    monkeypatch,
):
    monkeypatch.setattr("jobs.live.consumer.MAX_SENT", 5000)
    job = await sync_to_async(started_job)()
    async with JobCommunicator(dict(ANN)) as socket:
        for _ in range(30):
            await socket.send_json_to({"action": "subscribe", "job": job.id})
        assert await socket.close_code() == TRY_LATER


async def test_h08_a_thousand_frames_a_second_close_the_socket_and_no_other():
    job = await sync_to_async(started_job)()
    async with (
        JobCommunicator(dict(ANN), job.id) as neighbour,
        JobCommunicator(dict(ANN)) as socket,
    ):
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


# H21: cheap frames, dear answers


@pytest.fixture
def ten_jobs_a_second(settings, monkeypatch):
    """Let a socket have a hundred jobs read at once, while the budgets' clock stands still."""
    settings.JOBS = settings.JOBS | {"MAX_JOBS_PER_SECOND": 10}
    monkeypatch.setattr(budget, "_of_owners", {})
    monkeypatch.setattr(budget, "monotonic", lambda: 1000.0)


async def answers_of(socket, number, **target):
    """Subscribe `number` times, and return the answers without the frames of jobs."""
    answers = []
    while len(answers) < number:
        await socket.send_json_to({"action": "subscribe", **target})
        while "job" in (answer := await socket.next()) and isinstance(answer["job"], dict):
            pass
        answers.append(answer.get("code", answer["event"]))
    return answers


@pytest.mark.usefixtures("ten_jobs_a_second")
async def test_h21_who_asks_for_all_jobs_again_and_again_is_refused():
    jobs = [await sync_to_async(started_job)() for _ in range(19)]
    async with JobCommunicator(dict(ANN)) as socket, JobCommunicator(dict(BOB)) as neighbour:
        assert await answers_of(socket, 10, mine=True) == ["subscribed"] * 6 + ["too_many"] * 4
        refused = await socket.subscribe(mine=True)
        assert "Subscribe again in" in refused["detail"]
        assert await answers_of(neighbour, 3, mine=True) == ["subscribed"] * 3
        await sync_to_async(jobs[0].set_progress)(1, 2)
        await socket.event("progress")  # what it listens to goes on


@pytest.mark.usefixtures("ten_jobs_a_second")
async def test_h21_many_sockets_of_one_owner_share_a_budget(monkeypatch):
    monkeypatch.setattr(budget, "OWNER_BURST", 15)
    for _ in range(19):
        await sync_to_async(started_job)()
    answers = []
    for _tab in range(4):
        async with JobCommunicator(dict(ANN)) as socket:
            answers += await answers_of(socket, 5, mine=True)
    assert answers.index("too_many") == 8
    assert set(answers[8:]) == {"too_many"}


@pytest.mark.usefixtures("ten_jobs_a_second")
@pytest.mark.parametrize("session", [ANN, {}], ids=["a visitor", "nobody"])
async def test_h21_jobs_that_do_not_exist_are_looked_for_only_so_often(session, monkeypatch):
    asked = []
    monkeypatch.setattr("jobs.repository.find_archived", asked.append)
    async with JobCommunicator(dict(session)) as socket:
        answers = [code for n in range(40) for code in await answers_of(socket, 1, job=f"n{n}")]
    assert answers == ["not_found"] * 6 + ["too_many"] * 34 and len(asked) == 6


@pytest.mark.usefixtures("ten_jobs_a_second")
async def test_h21_an_archived_job_is_as_dear_as_one_that_does_not_exist(redis_client):
    job = await sync_to_async(ended_job)()
    redis_client.flushall()
    async with JobCommunicator(dict(ANN)) as socket:
        answers = await answers_of(socket, 20, job=job.id)
    assert answers == ["subscribed"] * 6 + ["too_many"] * 14


@pytest.mark.usefixtures("ten_jobs_a_second")
async def test_h21_the_budget_does_not_tell_a_stranger_s_job_from_none():
    job = await sync_to_async(started_job)()
    async with JobCommunicator(dict(BOB)) as socket:
        hidden = await answers_of(socket, 20, job=job.id)
    async with JobCommunicator({}) as socket:
        absent = await answers_of(socket, 20, job="nobody")
    assert hidden == absent == ["not_found"] * 6 + ["too_many"] * 14


@pytest.mark.usefixtures("ten_jobs_a_second")
async def test_h21_a_job_s_socket_closes_when_its_owner_s_budget_is_spent():
    job = await sync_to_async(started_job)()
    budget.budget_of("visitor:ann").spend(10_000)
    async with JobCommunicator(dict(ANN), job.id) as socket:
        assert await socket.close_code() == 4429


async def test_h21_a_large_page_may_reconnect_after_every_restart_of_the_server():
    jobs = [await sync_to_async(started_job)(tags=["red"]) for _ in range(100)]
    for _restart in range(2):
        async with JobCommunicator(dict(ANN)) as page:
            assert await answers_of(page, 1, mine=True) == ["subscribed"]
            assert await answers_of(page, 1, tag="red", ticket=ticket("tag:red")) == ["subscribed"]
            for job in jobs[:10]:
                assert await answers_of(page, 1, job=job.id) == ["subscribed"]


async def test_h21_a_long_list_does_not_hold_up_other_sockets():
    for _ in range(30):
        await sync_to_async(started_job)()
    turns, before = 0, []

    async def take_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    class Socket(JobConsumer):
        async def show(self, job, *args, **kwargs):
            before.append(turns)

    socket = Socket()
    socket.scope, socket.is_open, socket.sent = {}, False, SentVersions()
    other = asyncio.create_task(take_turns())
    subscription = Subscription(socket, {"mine": True}, Viewer((OWNER,)))
    await subscription.open()
    other.cancel()
    await subscription.close()
    assert len(before) == len(set(before)) == 30
