"""The way out to the channel layer: by the store's script if possible, else by one loop thread."""

import asyncio
import json
import threading
from contextlib import suppress

import pytest
from channels.layers import channel_layers, get_channel_layer

from jobs.conf import jobs_settings
from jobs.push import publisher
from jobs.push.channel_layer import close_layer
from jobs.push.envelope import message_of
from jobs.push.groups import group_of
from jobs.runtime.per_process import forget_all
from tests.factories import NOWHERE, at_once, create_job, started_job

from .watchers import CORE, IN_MEMORY, PUBSUB

MESSAGE = message_of('{"event":"ready"}', ["job:parcel-1"], "parcel-1")


@pytest.fixture
def on_the_wire(redis_client):
    """Return what is published on the layer's groups, as (channel, bytes)."""
    with redis_client.pubsub() as listener:
        listener.psubscribe("*__group__*")
        assert listener.get_message(timeout=1)["type"] == "psubscribe"

        def heard():
            message = listener.get_message(timeout=0.3)
            return message and (message["channel"].decode(), message["data"])

        yield heard


@pytest.mark.parametrize(
    "config",
    [{}, {"prefix": "school"}, {"serializer_format": "json"}],
    ids=["plain", "prefix", "json"],
)
def test_the_script_publishes_the_same_bytes_as_the_layer(use_layer, on_the_wire, config):
    use_layer(PUBSUB, **config)
    asyncio.run(get_channel_layer().group_send(group_of("job:parcel-1", 64), MESSAGE))
    channel, body = on_the_wire()
    assert publisher.prepare(MESSAGE) == ([channel], body)


def test_the_script_that_writes_a_job_publishes_its_push(on_the_wire):
    job = create_job()
    channel, body = on_the_wire()
    message = get_channel_layer().deserialize(body)
    assert channel == "asgi__group__" + group_of(f"job:{job.id}", 64)
    assert (message["type"], message["job"], message["version"]) == (
        "job.frame",
        job.id,
        str(job.version),
    )
    assert json.loads(message["frame"])["job"]["version"] == job.version


def test_there_is_a_push_for_every_topic(on_the_wire):
    job = create_job(tags=["a", "b"])
    topics = [f"job:{job.id}", "owner:visitor:ann", "tag:a", "tag:b"]
    heard = [on_the_wire() for _ in topics]
    assert [channel for channel, _body in heard] == [
        f"asgi__group__{group_of(topic, 64)}" for topic in topics
    ]
    assert [get_channel_layer().deserialize(body)["topics"] for _channel, body in heard] == [
        topics
    ] * 4
    assert on_the_wire() is None


ELSEWHERE = "redis://127.0.0.1:6390"


@pytest.mark.parametrize(
    ("backend", "config"),
    [
        (CORE, {}),
        (IN_MEMORY, {}),
        (PUBSUB, {"symmetric_encryption_keys": ["secret"]}),
        (PUBSUB, {"hosts": ["here", "here"]}),
        (PUBSUB, {"hosts": [ELSEWHERE]}),
        (PUBSUB, {"hosts": [{"master_name": "primary", "sentinels": [("127.0.0.1", 26379)]}]}),
        (PUBSUB, {"hosts": None}),
    ],
    ids=[
        "core",
        "in memory",
        "encrypted",
        "two hosts",
        "elsewhere",
        "sentinel",
        "the layer's default host",
    ],
)
def test_the_script_does_not_publish_where_the_layer_would_differ(
    use_layer, settings, backend, config
):
    here = settings.JOBS["REDIS_URL"]
    hosts = [here if host == "here" else host for host in config.get("hosts", ["here"]) or []]
    use_layer(backend, **(config | {"hosts": hosts} if backend != IN_MEMORY else {}))
    assert publisher.prepare(MESSAGE) is None


def test_the_script_publishes_if_both_use_the_same_sentinels(use_layer, settings):
    settings.JOBS = settings.JOBS | {
        "REDIS_URL": "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main/0"
    }
    use_layer(PUBSUB, hosts=[{"sentinels": [("127.0.0.1", 2)], "master_name": "main"}])
    assert publisher.prepare(MESSAGE) is not None


def test_the_script_follows_the_setting_channel_layer(settings):
    settings.CHANNEL_LAYERS = settings.CHANNEL_LAYERS | {"quick": {"BACKEND": IN_MEMORY}}
    assert publisher.prepare(MESSAGE) is not None
    settings.JOBS = settings.JOBS | {"CHANNEL_LAYER": "quick"}
    assert publisher.prepare(MESSAGE) is None


def test_the_number_of_shards_decides_the_groups(settings):
    settings.JOBS = settings.JOBS | {"SHARDS": 1}
    assert publisher.prepare(MESSAGE).channels == ["asgi__group__jobs.0"]


@pytest.fixture(params=[PUBSUB, CORE, IN_MEMORY], ids=["pubsub", "core", "in memory"])
async def listen(use_layer, settings, request):
    """Return a function that joins a topic's group, and returns a function that hears a message.

    It uses a layer of its own, because the publisher's belongs to the publisher's loop. A layer in
    memory is shared. With two hosts the pubsub layer cannot be used by the store's script.
    """
    here = settings.JOBS["REDIS_URL"]
    if request.param == IN_MEMORY:
        use_layer(IN_MEMORY)
        own = get_channel_layer()
    else:
        use_layer(request.param, hosts=[here, here] if request.param == PUBSUB else [here])
        own = channel_layers.make_backend("default")

    async def join(topic):
        channel = await own.new_channel()
        await own.group_add(group_of(topic, jobs_settings().SHARDS), channel)
        return lambda: asyncio.wait_for(own.receive(channel), 3)

    yield join
    await close_layer(own)


async def test_a_message_reaches_the_members_of_its_group(listen):
    hear = await listen("job:parcel-1")
    assert publisher.prepare(MESSAGE) is None
    await asyncio.to_thread(publisher.send, MESSAGE)
    assert await hear() == MESSAGE


async def test_without_the_script_the_frame_is_sent_with_its_version(listen):
    job = await asyncio.to_thread(create_job)
    hear = await listen(f"job:{job.id}")
    await asyncio.to_thread(job.start)
    message = await hear()
    frame = json.loads(message["frame"])
    assert (message["version"], frame["event"], frame["job"]["version"]) == (
        str(job.version),
        "started",
        job.version,
    )
    assert frame["job"]["started_at"] == job.started_at.isoformat(timespec="microseconds")


def test_a_broadcast_reaches_the_group_of_every_server(on_the_wire):
    publisher.broadcast({"type": "job.logout", "owner": "user:7"})
    channel, body = on_the_wire()
    assert channel == "asgi__group__jobs.all"
    assert get_channel_layer().deserialize(body) == {"type": "job.logout", "owner": "user:7"}


def test_a_layer_that_is_down_is_logged_and_not_raised(use_layer, caplog):
    use_layer(PUBSUB, hosts=[NOWHERE])
    publisher.send(MESSAGE)
    assert "the channel layer did not take a message" in caplog.text


class SilentLayer:
    """A channel layer that never answers."""

    def __init__(self, **config):
        pass

    async def group_send(self, group, message):
        await asyncio.Event().wait()


def test_a_layer_that_hangs_delays_a_task_for_a_bounded_time(use_layer, monkeypatch, caplog):
    monkeypatch.setattr(publisher, "SEND_TIMEOUT", 0.05)
    use_layer(f"{__name__}.SilentLayer")
    job = create_job()
    assert "the channel layer did not take a message" in caplog.text
    assert job.version


@pytest.mark.usefixtures("no_layer")
def test_without_a_layer_a_job_can_start():
    assert publisher.prepare(MESSAGE) is None
    assert started_job().state == "running"


async def test_a_push_can_be_made_from_inside_a_running_loop(use_layer, on_the_wire, settings):
    use_layer(PUBSUB, hosts=[settings.JOBS["REDIS_URL"], settings.JOBS["REDIS_URL"]])
    assert publisher.prepare(MESSAGE) is None
    publisher.send(MESSAGE)
    assert get_channel_layer().deserialize(on_the_wire()[1]) == MESSAGE


def test_a_process_keeps_one_thread_to_send(use_layer):
    use_layer(IN_MEMORY)
    publisher.send(MESSAGE)
    before = threading.enumerate()
    assert "jobs-publisher" in [thread.name for thread in before]
    for _ in range(5):
        publisher.send(MESSAGE)
    assert threading.enumerate() == before


def test_threads_that_first_send_together_share_one_loop(use_layer, monkeypatch):
    use_layer(IN_MEMORY)
    forget_all()  # as in a process that has not sent yet
    really_make, both = asyncio.new_event_loop, threading.Barrier(2)

    def make_slowly():
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return really_make()

    monkeypatch.setattr(asyncio, "new_event_loop", make_slowly)
    assert len(set(at_once([publisher.sending_loop] * 2))) == 1


@pytest.mark.usefixtures("no_layer")
@pytest.mark.django_db(transaction=True)
def test_without_a_layer_a_job_lives_and_ends_and_nothing_is_logged(caplog):
    job = started_job()
    job.set_progress(1, 2)
    job.complete()
    assert job.refresh().state == "complete" and caplog.records == []
