"""What a job, a progress call and a socket ask of Redis: counted, so the same on every machine."""

import asyncio

import pytest

from jobs.access import ticket
from jobs.core.topics import job_topic
from jobs.events import STARTED
from jobs.testing import JobCommunicator

from .costs import UNTHROTTLED, running_job
from .trips import VERBS, a_request, count_verb, counted_trips, live

pytestmark = pytest.mark.usefixtures("database_file")

COMMANDS = (
    7  # EVALSHA, and in the script TIME, HMGET, HSET, EXPIRE, PUBLISH to the job and to its owner
)
LIFE = 6  # round trips: create, start and complete in the worker, find, lease and mark in the view
SOCKETS = 10


@pytest.fixture
def unthrottled(settings):
    """Let every progress call be sent."""
    settings.JOBS = {**settings.JOBS, "PROGRESS_PER_SECOND": UNTHROTTLED}


@pytest.mark.parametrize("verb", VERBS)
def test_a_push_rides_in_the_round_trip_that_stores(verb, unthrottled):
    found = count_verb(verb, VERBS[verb], calls=20)
    assert found[f"round_trips_per_{verb}"] == 1
    assert found[f"connections_per_{verb}"] == 0
    assert found[f"commands_per_{verb}"] <= COMMANDS


def test_a_progress_call_that_comes_too_early_asks_nothing_of_redis():
    job = running_job()
    job.set_progress(1, 100)
    with counted_trips() as trips:
        for n in range(2, 50):
            job.set_progress(n, 100)
    job.complete()
    assert trips.count == 0


def test_a_whole_life_takes_few_round_trips():
    live(a_request())  # opens connections
    with counted_trips() as trips:
        job = live(a_request())
    assert job.refresh().claimed_url
    assert trips.count <= LIFE


@pytest.mark.usefixtures("nothing_left")
async def test_a_socket_takes_one_round_trip(watched):
    with counted_trips() as trips:
        for _ in range(SOCKETS):
            await look_at(watched)
    assert trips.count == SOCKETS


@pytest.mark.usefixtures("nothing_left")
async def test_sockets_that_open_at_once_share_their_round_trips(watched):
    with counted_trips() as trips:
        await asyncio.gather(*(look_at(watched) for _ in range(SOCKETS)))
    assert trips.count <= 3


@pytest.fixture
async def watched():
    """Return a job that somebody watches already: the process has joined its group."""
    job = await asyncio.to_thread(running_job)
    async with JobCommunicator() as page:
        await subscribe(page, job)
        yield job


async def look_at(job):
    """Open a page of the job with a ticket, see how it stands, and leave."""
    async with JobCommunicator() as page:
        await subscribe(page, job)


async def subscribe(page, job):
    answer = await page.subscribe(job=job.id, ticket=ticket(job_topic(job.id)))
    assert answer["event"] == "subscribed"
    await page.event(STARTED)
