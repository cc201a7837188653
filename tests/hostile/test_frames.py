"""What a client may send over the socket, and others over the layer (FAULTS.md H6)."""

import json

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.conf import jobs_settings
from jobs.core.topics import job_topic
from jobs.push.groups import group_of
from jobs.testing import JobCommunicator
from tests.factories import ANN, browser, staff, started_job

pytestmark = pytest.mark.usefixtures("database_file", "nothing_left")

NESTED = '{"action":"ping","deep":' + "[" * 500 + "]" * 500 + "}"
RUBBISH = [
    "",
    " ",
    "null",
    "7",
    '"ping"',
    "[]",
    "{}",
    "{",
    "[" * 2000,
    NESTED[:-1],
    "NaN",
    "1e400",
    "\x00",
    "\ufeff{}",
    '{"action":1}',
    '{"action":["ping"]}',
    '{"action":{"action":"ping"}}',
    '{"action":"Ping"}',
    '{"action":"subscribe"}',
    '{"action":"subscribe","job":1}',
    '{"action":"subscribe","job":null}',
    '{"action":"subscribe","job":"a","mine":true}',
    '{"action":"subscribe","mine":1}',
    '{"action":"subscribe","mine":"true"}',
    '{"action":"subscribe","tag":["a"]}',
    '{"action":"unsubscribe"}',
    '{"action":"unsubscribe","job":{}}',
    '{"type":"job.frame","topics":["job:a"],"frame":"{}"}',
    '{"type":"websocket.close"}',
    '{"__class__":"os.system","action":"__init__"}',
    '{"action":"receive"}',
    '{"action":"close"}',
    '{"action":"subscribe","__proto__":{"job":"a"}}',
    '{"action":"subscribe","job":' + "9" * 4000 + "}",
]


async def send_text(socket, text):
    await socket.send_input(
        {"type": "websocket.receive", "text": text}
    )  # send_to would not take an empty one


async def is_alive(socket):
    while (frame := await socket.ask(action="ping"))["event"] != "pong":
        assert frame["event"] == "error"
    return True


@pytest.mark.parametrize("text", RUBBISH, ids=range(len(RUBBISH)))
async def test_h06_rubbish_is_answered_with_an_error_and_harms_nobody(text, caplog):
    job = await sync_to_async(started_job)()
    async with (
        JobCommunicator(dict(ANN), job.id) as neighbour,
        JobCommunicator(dict(ANN)) as socket,
    ):
        await neighbour.event("started")
        await send_text(socket, text)
        answer = await socket.next()
        assert (answer["event"], answer["code"]) == ("error", "bad_frame")
        assert await is_alive(socket)
        await sync_to_async(job.set_progress)(1, 2)
        await neighbour.event("progress")
    assert caplog.records == []


@pytest.mark.parametrize(
    "text",
    [
        NESTED,
        '{"action":"ping","x":NaN,"y":1e400}',
        '{"action":"ping","\\ud800":"\\ud800\\u0000"}',
        '{"action":"ping","action":"ping"}',
        '{"action":"ping","ticket":"\\ud800"}',
    ],
)
async def test_h06_a_good_frame_with_rubbish_around_it_is_taken(text):
    async with JobCommunicator(dict(ANN)) as socket:
        await send_text(socket, text)
        assert await socket.next() == {"event": "pong"}


@pytest.mark.parametrize("tag", ["\ud800", "\x00", "", "x" * 3000, "a\nb", "{}", "*", "../.."])
async def test_h06_a_strange_tag_is_not_found_or_empty_even_for_staff(tag, caplog):
    sam = await sync_to_async(staff)("sam", "view_job")
    client = await sync_to_async(browser)(user=sam)
    session = await sync_to_async(lambda: client.session)()
    async with JobCommunicator(session) as socket:
        assert (await socket.subscribe(tag="good"))["event"] == "subscribed"
        answer = await socket.subscribe(tag=tag)
        assert answer["event"] == "subscribed" or answer["code"] in ("not_found", "bad_frame")
        assert await is_alive(socket)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.close", "code": 1000},
        {"type": "websocket.receive", "text": '{"action":"ping"}'},
        {"type": "job.event", "job": {}},
        {"type": "close"},
        {"type": "job.frame"},
        {"type": "job.frame", "topics": "?", "job": 7, "version": "x", "frame": None},
        {"type": "job.frame", "topics": "?", "job": "?", "version": "9" * 400, "frame": 7},
        {"type": "job.logout"},
        {"type": "job.logout", "owner": ["user:1"]},
        {"type": ["job.frame"]},
        {},
        [],
        None,
        "text",
    ],
)
async def test_h06_a_spoofed_layer_message_closes_nothing_and_stops_no_later_frame(
    message,
):
    job = await sync_to_async(started_job)()
    topic = job_topic(job.id)
    async with JobCommunicator(dict(ANN), job.id) as page:
        await page.event("started")
        if isinstance(message, dict) and message.get("topics") == "?":
            message = message | {"topics": [topic]}
        await get_channel_layer().group_send(group_of(topic, jobs_settings().SHARDS), message)
        await sync_to_async(job.set_progress)(1, 2)
        await page.event("progress")
        await get_channel_layer().flush()


actions = st.one_of(
    st.sampled_from(["subscribe", "unsubscribe", "ping"]), st.text(), st.integers(), st.none()
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
targets = st.dictionaries(
    st.one_of(
        st.sampled_from(["job", "mine", "tag", "ticket", "type", "__class__", "__proto__"]),
        st.text(),
    ),
    st.one_of(values, st.sampled_from([True, "a", "..", "\x00", "*"])),
    max_size=4,
)
frames = st.one_of(
    st.builds(lambda action, rest: json.dumps({**rest, "action": action}), actions, targets),
    st.builds(json.dumps, values),
    st.text(),
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(frames, min_size=1, max_size=10))
async def test_h06_any_frames_in_any_order_are_answered_within_the_protocol(texts):
    async with JobCommunicator(dict(ANN)) as socket:
        for text in texts:
            await send_text(socket, text)
            assert (await socket.next())["event"] in {
                "error",
                "subscribed",
                "unsubscribed",
                "pong",
            }
        assert await is_alive(socket)
