"""The socket: who may open it, what it accepts, and what it answers to rubbish."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.live.client_frames import BadFrame, parse
from jobs.live.consumer import BAD, NOT_FOUND, TOO_MANY, TRY_LATER, JobConsumer
from jobs.push.envelope import message_of
from jobs.push.hub import hub
from jobs.routing import websocket_urlpatterns
from jobs.runtime.threads import in_thread
from jobs.states import JobState
from jobs.store import reader
from jobs.testing import JobCommunicator
from tests import factories
from tests.factories import ANN, BOB, NOWHERE, browser

pytestmark = pytest.mark.usefixtures("database_file", "nothing_left")

create_job, started_job, ended_job = map(
    sync_to_async, (factories.create_job, factories.started_job, factories.ended_job)
)


def socket_at(
    path, headers=((b"host", b"testserver"), (b"origin", b"http://testserver")), session=None
):
    communicator = WebsocketCommunicator(
        URLRouter(websocket_urlpatterns), path, headers=list(headers)
    )
    communicator.scope["session"] = session if session is not None else dict(ANN)
    return communicator


async def outcome_of(communicator):
    """Connect and return the code of the close that follows, or None if the socket stays open."""
    assert (await communicator.connect(timeout=3))[
        0
    ]  # accepted first, so that the browser sees the code
    await communicator.send_json_to({"action": "ping"})
    while (output := await communicator.receive_output(3))["type"] == "websocket.send":
        if json.loads(output["text"])["event"] == "pong":
            await communicator.disconnect()
            return None
    await communicator.disconnect()
    return output["code"]


# Opening


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("http://testserver", None),
        (None, BAD),
        ("null", BAD),
        ("http://evil.example", BAD),
        ("https://testserver", BAD),
        ("http://testserver:81", BAD),
    ],
)
async def test_a_socket_is_opened_from_a_page_of_this_place_only(origin, code):
    job = await started_job()
    communicator = JobCommunicator(ANN, job.id, origin)
    assert await outcome_of(communicator) == code


async def test_a_socket_from_elsewhere_says_nothing_about_a_job():
    job = await started_job()
    communicator = JobCommunicator(ANN, job.id, "http://evil.example")
    await communicator.connect()
    assert (await communicator.receive_output(3))["type"] == "websocket.close"
    await communicator.send_json_to({"action": "subscribe", "job": job.id})
    await in_thread(job.complete)
    assert await communicator.receive_nothing()
    await communicator.disconnect()


@pytest.mark.parametrize(
    "path",
    [
        "/ws/jobs/x/y/",
        "/ws/jobs/x",
        "/ws/jobs/../../etc/",
        "/ws/jobs//",
        "/ws/jobs/%00/",
        "/ws/jobs/a%0d%0ab/",
        "/ws/jobs/{}/",
        "/ws/jobs/*/",
        "/ws/jobs/" + "x" * 5000 + "/",
        "/ws/jobs/ü/",
        "/ws/jobs/nobody/",
        "/ws/jobs/nobody/more",
        "/ws/jobs/a\nb/",
    ],
)
async def test_an_address_that_names_no_job_is_closed_as_not_found(path):
    assert await outcome_of(socket_at(path)) == NOT_FOUND


@pytest.mark.parametrize("session", [BOB, {}], ids=["a stranger", "nobody"])
async def test_someone_else_s_job_is_closed_as_not_found(session):
    job = await started_job()
    assert await outcome_of(socket_at(f"/ws/jobs/{job.id}/", session=session)) == NOT_FOUND
    assert await outcome_of(socket_at(f"/ws/jobs/{job.id}/")) is None


async def test_a_logged_in_owner_hears_by_the_session_cookie_s_session():
    ada = await in_thread(factories.user)
    session = await in_thread(lambda: browser(user=ada).session)
    job = await started_job(owner=ada)
    async with JobCommunicator(session, job.id) as page:
        assert (await page.event("started"))["id"] == job.id


async def test_staff_need_the_permission_to_see_someone_else_s_job():
    job = await started_job()
    for name, permissions, code in [("sam", ["view_job"], None), ("tom", [], NOT_FOUND)]:
        member = await in_thread(factories.staff, name, *permissions)
        session = await in_thread(lambda member=member: browser(user=member).session)
        assert await outcome_of(socket_at(f"/ws/jobs/{job.id}/", session=session)) == code


@pytest.mark.parametrize("path", ["/ws/jobs/{id}/", "/ws/jobs/"])
async def test_a_store_that_is_down_closes_the_socket_with_try_later(settings, path):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    communicator = socket_at(path.format(id="parcel-1"))
    await communicator.connect(timeout=3)
    if path == "/ws/jobs/":
        await communicator.send_json_to({"action": "subscribe", "mine": True})
    assert await communicator.receive_output(5) == {"type": "websocket.close", "code": TRY_LATER}
    await communicator.disconnect()


async def test_a_socket_that_was_closed_is_silent():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        await page.send_to(bytes_data=b"x")
        assert await page.close_code() == BAD
        await page.send_json_to({"action": "ping"})
        await in_thread(job.complete)
        assert await page.receive_nothing()


async def test_the_consumer_has_no_channel_of_its_own(redis_client):
    before = redis_client.pubsub_channels()
    async with JobCommunicator(ANN) as page:
        await page.ask(action="ping")
        assert redis_client.pubsub_channels() == before


# Frames


async def test_a_ping_is_answered():
    async with JobCommunicator(ANN) as page:
        assert await page.ask(action="ping") == {"event": "pong"}


BAD_FRAMES = [
    " ",
    "ping",
    "{",
    "[]",
    "7",
    "null",
    '"ping"',
    "{}",
    '{"action": null}',
    '{"action": 7}',
    '{"action": ["ping"]}',
    '{"action": {"a": 1}}',
    '{"action": "explode"}',
    '{"action": "__class__"}',
    '{"__class__": "ping"}',
    '{"type": "job.frame"}',
    '{"type": "websocket.disconnect", "action": "receive"}',
    '{"action": "subscribe"}',
    '{"action": "subscribe", "job": 7}',
    '{"action": "subscribe", "job": null}',
    '{"action": "subscribe", "job": ["a"]}',
    '{"action": "subscribe", "mine": false}',
    '{"action": "subscribe", "mine": 1}',
    '{"action": "subscribe", "tag": {}}',
    '{"action": "subscribe", "job": "a", "mine": true}',
    '{"action": "unsubscribe", "what": "all"}',
    "[" * 2000,
    "[" * 500 + "]" * 500,
    '{"a":' * 500 + "1" + "}" * 500,
    "NaN",
    "1e400",
    '{"action": NaN}',
    '{"action": "\\ud800"}',
    '{"action": "\\u0000"}',
    "\x00",
    "\ud800",
]


@pytest.mark.parametrize("text", BAD_FRAMES, ids=lambda text: repr(text)[:40])
async def test_a_bad_frame_gets_an_error_and_the_socket_stays_open(text, caplog):
    async with JobCommunicator(ANN) as page:
        await page.send_to(text_data=text)
        answer = await page.next()
        assert (answer["event"], answer["code"]) == ("error", "bad_frame") and answer["detail"]
        assert await page.ask(action="ping") == {"event": "pong"}
    assert not caplog.records


@pytest.mark.parametrize(
    "job_id", ["", "../x", "\x00", "\ud800", "{}", "*", "x" * 129, "jobs:{a}", "😀"]
)
async def test_a_job_whose_name_can_be_none_is_not_found(job_id):
    async with JobCommunicator(ANN) as page:
        answer = await page.subscribe(job=job_id)
        assert (answer["event"], answer["code"], answer["job"]) == ("error", "not_found", job_id)


async def test_a_bad_frame_does_not_end_a_subscription():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        await page.send_to(text_data="[" * 2000)
        assert (await page.next())["code"] == "bad_frame"
        await in_thread(job.complete)
        assert (await page.next())["event"] == "ready"


@pytest.mark.parametrize("text", [None, "x" * 4097], ids=["binary", "too long"])
async def test_a_frame_of_another_kind_or_size_closes_the_socket(text):
    async with JobCommunicator(ANN) as page:
        await page.send_to(text_data=text, bytes_data=None if text else b"\x00\xff")
        assert await page.close_code() == BAD


async def test_a_frame_s_size_is_counted_in_bytes():
    async with JobCommunicator(ANN) as page:
        await page.send_to(
            text_data=json.dumps({"action": "ping", "x": "😀" * 2000}, ensure_ascii=False)
        )
        assert await page.close_code(timeout=1) == BAD


async def test_more_frames_a_second_than_allowed_close_the_socket(settings):
    settings.JOBS = settings.JOBS | {"MAX_FRAMES_PER_SECOND": 5}
    async with JobCommunicator(ANN) as page:
        for _ in range(6):
            await page.send_json_to({"action": "ping"})
        assert [(await page.next())["event"] for _ in range(5)] == ["pong"] * 5
        assert await page.close_code() == TOO_MANY


async def test_frames_within_the_limit_are_answered_every_time(settings, monkeypatch):
    settings.JOBS = settings.JOBS | {"MAX_FRAMES_PER_SECOND": 5}
    clock = iter(range(1000))
    monkeypatch.setattr("jobs.live.consumer.monotonic", lambda: next(clock) / 4)
    async with JobCommunicator(ANN) as page:
        for _ in range(30):
            assert await page.ask(action="ping") == {"event": "pong"}


async def test_a_socket_may_have_a_limited_number_of_subscriptions(settings):
    settings.JOBS = settings.JOBS | {"MAX_SUBSCRIPTIONS": 2}
    jobs = [await started_job() for _ in range(3)]
    async with JobCommunicator(ANN) as page:
        for job in jobs[:2]:
            assert (await page.subscribe(job=job.id))["event"] == "subscribed"
            await page.event("started")
        answer = await page.subscribe(job=jobs[2].id)
        assert (answer["event"], answer["code"], answer["job"]) == (
            "error",
            "too_many",
            jobs[2].id,
        )
        assert (await page.ask(action="unsubscribe", job=jobs[0].id))["event"] == "unsubscribed"
        assert (await page.subscribe(job=jobs[2].id))["event"] == "subscribed"
        await page.event("started")


async def test_a_spent_budget_is_answered_with_the_seconds_to_wait(settings):
    settings.JOBS = settings.JOBS | {"MAX_JOBS_PER_SECOND": 1}
    async with JobCommunicator(ANN) as page:
        for _ in range(11):  # each reads one list; ten are allowed at once
            assert (await page.subscribe(mine=True))["event"] == "subscribed"
        answer = await page.subscribe(mine=True)
    assert (answer["code"], answer["mine"], answer["retry_after"]) == ("too_many", True, 1)
    assert answer["detail"] == "Too many jobs at once. Subscribe again in 1 seconds."


async def test_subscribing_twice_to_one_job_counts_once(settings):
    settings.JOBS = settings.JOBS | {"MAX_SUBSCRIPTIONS": 1}
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        assert (await page.subscribe(job=job.id))["event"] == "subscribed"
        await page.event("started")


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    st.text()
    | st.binary().map(lambda data: data.decode("latin-1"))
    | st.from_regex(r'\{"action": .*\}')
)
def test_any_text_is_a_frame_of_the_protocol_or_a_bad_frame(text):
    try:
        action, target, _ticket = parse(text)
    except BadFrame:
        return
    assert action in ("ping", "subscribe", "unsubscribe") and len(target) == (action != "ping")


# What a page gets


async def test_data_is_never_in_a_frame_and_public_data_is():
    job = await started_job(parcel="books", secret="hunter2")
    async with JobCommunicator(ANN, job.id) as page:
        first = (await page.next(), await page.next())
        await in_thread(job.complete)
        last = await page.next()
    assert "hunter2" not in json.dumps([*first, last])
    assert first[1]["job"]["parcel"] == last["job"]["parcel"] == "books"


async def test_public_data_does_not_replace_a_core_key():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        shown = await page.event("started")
        assert (shown["id"], shown["state"]) == (job.id, "running")


async def test_a_failed_job_shows_the_error_meant_for_its_owner():
    job = await ended_job(JobState.FAILED, "The parcel is too heavy.")
    async with JobCommunicator(ANN, job.id) as page:
        assert (await page.event("failed"))["error"] == "The parcel is too heavy."


async def test_two_pages_of_one_job_hear_the_same():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as first, JobCommunicator(ANN, job.id) as second:
        await first.event("started")
        await second.event("started")
        await in_thread(job.complete)
        assert await first.next() == await second.next()


async def test_a_page_that_has_left_is_forgotten():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        await page.subscribe(mine=True)
    assert hub().watchers() == set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_push_to_a_closing_socket_is_dropped_without_a_log(caplog):
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        await page.send_to(bytes_data=b"x")
        await page.close_code()
        message = message_of("{}", [f"job:{job.id}"], job.id) | {"version": str(job.version + 1)}
        await hub().hand_out(message)
    assert not caplog.records


@pytest.mark.parametrize("gone", [RuntimeError("Attempt to send on a closed protocol"), OSError()])
async def test_a_push_to_a_vanished_socket_is_dropped_and_others_hear(caplog, gone):
    """Each server has its own error: autobahn's `Disconnected` in daphne, `OSError` in ASGI."""
    job, tried = await started_job(), []

    async def receive():
        return await incoming.get()

    async def send(message):
        sent.put_nowait(message)
        if message["type"] == "websocket.send" and json.loads(message["text"])["event"] == "ready":
            tried.append(message)
            raise gone

    incoming, sent = asyncio.Queue(), asyncio.Queue()
    consumer = JobConsumer(job.id)
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    serving = asyncio.create_task(
        consumer({"type": "websocket", "headers": headers, "session": ANN}, receive, send)
    )
    incoming.put_nowait({"type": "websocket.connect"})
    while (await asyncio.wait_for(sent.get(), 3)).get("text", "").find('"started"') < 0:
        pass
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        await in_thread(job.complete)
        await page.event("ready")
    await consumer.close(BAD)
    await consumer.say("pong")
    assert len(tried) == 1 and not consumer.is_open
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
    incoming.put_nowait({"type": "websocket.disconnect"})
    await asyncio.wait_for(serving, 3)


async def test_a_killed_pubsub_connection_costs_a_page_nothing_but_a_moment(
    redis_client, monkeypatch, settings
):
    monkeypatch.setattr("jobs.push.hub.BEAT_SECONDS", 0.05)
    monkeypatch.setattr("jobs.push.hub.DEAF_AFTER", 0.2)
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.3}
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        assert redis_client.client_kill_filter(_type="pubsub") > 0
        await in_thread(job.complete)
        assert (await page.event("ready", timeout=3))["state"] == "complete"


async def test_all_sockets_of_a_server_share_one_reader():
    assert reader.async_reader() is reader.async_reader()
