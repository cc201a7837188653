"""Who asks for what is not theirs (FAULTS.md H1, H2, H4)."""

import time
from statistics import median

import pytest
from asgiref.sync import sync_to_async
from django.core import signing

from jobs.access import ticket
from jobs.states import JobState
from jobs.store.keys import job_key
from jobs.testing import JobCommunicator
from tests.factories import ANN, BOB, JSON, browser, create_job, ended_job, hash_of, started_job
from tests.factories import user as create_user

pytestmark = pytest.mark.usefixtures("database_file")

ROUTES = [("get", ""), ("post", "ready/"), ("post", "cancel/")]
STRANGERS = {
    "another visitor": lambda: browser(BOB),
    "somebody without a session": browser,
    "another user": lambda: browser(user=create_user("eve")),
    "staff without the permission": lambda: browser(user=create_user("stan", is_staff=True)),
}


def without(text, job_id):
    return text.replace(job_id, "ID")


def answer_of(client, method, route, job_id, **headers):
    answer = getattr(client, method)(f"/jobs/{job_id}/{route}", **headers)
    return answer.status_code, without(answer.content.decode(), job_id)


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "json"])
def test_h01_a_stranger_gets_the_answer_for_an_unknown_job(who, headers, redis_client):
    stranger = STRANGERS[who]()
    job = started_job()
    before = hash_of(redis_client, job)
    for method, route in ROUTES:
        theirs = answer_of(stranger, method, route, job.id, **headers)
        unknown = answer_of(stranger, method, route, "no-such-job", **headers)
        assert theirs == unknown
        assert theirs[0] == 404
    assert hash_of(redis_client, job) == before


def test_h01_an_expired_job_is_hidden_from_strangers_too(redis_client):
    job = create_job()
    redis_client.hset(job_key(job.id), "deadline", 1)
    assert browser(BOB).get(f"/jobs/{job.id}/", **JSON).status_code == 404
    assert browser(ANN).get(f"/jobs/{job.id}/", **JSON).json()["event"] == "expired"


async def test_h01_a_stranger_s_socket_is_closed_like_one_for_an_unknown_job(nothing_left):
    job = await sync_to_async(started_job)()
    for job_id in (job.id, "no-such-job"):
        async with JobCommunicator(dict(BOB), job_id) as socket:
            assert (await socket.receive_output(5)) == {"type": "websocket.close", "code": 4404}
    async with JobCommunicator(dict(BOB)) as socket:
        theirs = await socket.subscribe(job=job.id)
        unknown = await socket.subscribe(job="no-such-job")
        assert theirs | {"job": ""} == unknown | {"job": ""}
        assert theirs["code"] == "not_found"


def test_h01_both_answers_take_the_same_time():
    stranger, job = browser(BOB), started_job()

    def took(job_id):
        started = time.perf_counter()
        stranger.get(f"/jobs/{job_id}/", **JSON)
        return time.perf_counter() - started

    for job_id in (job.id, "no-such-job"):
        took(job_id)
    theirs, unknown = (
        median(took(job_id) for _ in range(20)) for job_id in (job.id, "no-such-job")
    )
    assert abs(theirs - unknown) < 0.005 + 0.5 * max(theirs, unknown)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://testserver.evil.example",
        "http://testserver:81",
        "https://testserver",
        "null",
        "",
        None,
    ],
)
async def test_h02_a_socket_from_elsewhere_is_refused(origin, nothing_left):
    job = await sync_to_async(started_job)()
    async with JobCommunicator(dict(ANN), job.id, origin=origin) as socket:
        assert await socket.receive_output(5) == {"type": "websocket.close", "code": 4400}


def bad_tickets(job, settings):
    other = ticket("job:another")
    return {
        "forged": signing.dumps(f"job:{job.id}", key="another key", salt="jobs.ticket"),
        "for another purpose": signing.dumps(f"job:{job.id}", salt="elsewhere"),
        "of another job": other,
        "truncated": ticket(f"job:{job.id}")[:-1],
        "lengthened": ticket(f"job:{job.id}") + "A",
        "put together": ":".join([ticket(f"job:{job.id}").split(":")[0], *other.split(":")[1:]]),
        "no text": 7,
        "a list": [ticket(f"job:{job.id}")],
        "no topic": signing.dumps({"job": job.id}, salt="jobs.ticket"),
        "of a prefix": ticket("job:"),
        "surrogate": "\ud800",
        "long": "A" * 3000,
    }


async def test_h04_a_ticket_that_is_not_good_opens_nothing(settings, nothing_left):
    job = await sync_to_async(started_job)()
    for kind, bad in bad_tickets(job, settings).items():
        async with JobCommunicator({}) as socket:
            assert (await socket.subscribe(job=job.id, ticket=bad)).get("code") == "not_found", (
                kind
            )
    async with JobCommunicator({}) as socket:  # and the guard: a good one does
        assert (await socket.subscribe(job=job.id, ticket=ticket(f"job:{job.id}")))[
            "event"
        ] == "subscribed"


async def test_h04_an_expired_ticket_opens_nothing(settings, nothing_left, monkeypatch):
    job = await sync_to_async(started_job)()
    old = ticket(f"job:{job.id}")
    later = time.time() + settings.JOBS.get("TICKET_AGE", 900) + 1
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    async with JobCommunicator({}) as socket:
        assert (await socket.subscribe(job=job.id, ticket=old))["code"] == "not_found"
    client = await sync_to_async(browser)()
    answer = await sync_to_async(client.get)(f"/jobs/{job.id}/", HTTP_X_JOB_TICKET=old, **JSON)
    assert answer.status_code == 404


def test_h04_a_ticket_never_claims_or_cancels_what_is_another_s(redis_client):
    job = ended_job(JobState.COMPLETE)
    running = started_job()
    bearer = browser(BOB)
    for one, verb in ((job, "ready"), (running, "cancel")):
        bearer.post(f"/jobs/{one.id}/{verb}/", {"ticket": ticket(f"job:{one.id}")})
    assert hash_of(redis_client, job).get("claimed_at", "0") == "0"
    assert hash_of(redis_client, running)["cancel_asked"] == "false"
