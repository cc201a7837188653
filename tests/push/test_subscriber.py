"""A connection that subscribes: what Redis sends is read in whatever pieces it arrives."""

import asyncio
import contextlib
import sys

import pytest

from jobs.push import channel_layer, subscriber
from jobs.push.channel_layer import SubscriberLayer, new_layer
from jobs.push.subscriber import ConnectionBroken, Refused, Subscriber, is_possible
from jobs.store.resp import pack

SECONDS = 3


class Listener:
    """Listens, and takes a message only when the test asks for the next one."""

    def __init__(self, subscriber):
        self._taken = asyncio.Queue(maxsize=1)
        self.task = asyncio.create_task(subscriber.listen(self._taken.put))

    async def next(self):
        taking = asyncio.create_task(self._taken.get())
        await asyncio.wait(
            {taking, self.task}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not taking.done():
            taking.cancel()
            self.task.result()
        return taking.result()


@pytest.fixture
async def open_subscriber():
    """Return a subscriber that is connected; close it at the end."""
    opened = Subscriber()
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def listen():
    """Return a function that starts to listen to a subscriber; stop at the end."""
    listeners = []

    def start(subscriber):
        listeners.append(Listener(subscriber))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionBroken):
            await listener.task


def receive(subscriber, *payloads):
    """Have the event loop hand each message to the subscriber, as it does when Redis sends one."""
    for payload in payloads:
        data = pack(["message", "school", payload])
        asyncio.get_running_loop().call_soon(subscriber.data_received, data)


# Hearing


async def test_messages_in_pieces_are_heard_once_and_in_order(open_subscriber, listen):
    payloads = [b"one", b"", b"\r\n$3\r\n", "drei – четыре".encode()]
    for byte in b"".join(pack(["message", "school", payload]) for payload in payloads):
        open_subscriber.data_received(bytes([byte]))
    listener = listen(open_subscriber)
    assert [await listener.next() for _ in payloads] == payloads


async def test_a_message_that_follows_subscribe_is_heard(open_subscriber, redis_client, listen):
    listener = listen(open_subscriber)
    for number in range(20):
        await open_subscriber.subscribe(f"school.{number}")
        assert await asyncio.to_thread(redis_client.publish, f"school.{number}", str(number)) == 1
        assert await listener.next() == str(number).encode()


async def test_a_megabyte_is_heard_whole(open_subscriber, redis_client, listen):
    await open_subscriber.subscribe("school")
    await asyncio.to_thread(redis_client.publish, "school", b"\r\n" * 500_000)
    assert await listen(open_subscriber).next() == b"\r\n" * 500_000


async def test_a_channel_that_was_left_is_no_longer_heard(open_subscriber, redis_client, listen):
    await open_subscriber.subscribe("school")
    await open_subscriber.subscribe("library")
    await open_subscriber.unsubscribe("school")
    await open_subscriber.subscribe("gym")  # Redis answers it after the one before
    assert await asyncio.to_thread(redis_client.publish, "school", "a") == 0
    await open_subscriber.publish("library", b"b")
    assert await listen(open_subscriber).next() == b"b"


async def test_messages_for_a_slow_listener_wait_in_redis(
    open_subscriber, redis_client, monkeypatch, listen
):
    monkeypatch.setattr(subscriber, "PAUSE_AT", 10)
    listener = listen(open_subscriber)
    await open_subscriber.subscribe("school")
    payload, pieces = b"x" * 100_000, 300

    def publish():
        for _ in range(pieces):
            redis_client.publish("school", payload)

    await asyncio.to_thread(publish)
    for _ in range(pieces):
        assert await listener.next() == payload
        assert open_subscriber.waiting < 30  # as many as one piece from the kernel holds
    assert open_subscriber.waiting == 0


@pytest.mark.parametrize("query", ["?protocol=2", "?protocol=3"])
async def test_both_versions_of_the_protocol_carry_a_message(
    settings, redis_client, query, listen
):
    settings.JOBS = settings.JOBS | {"REDIS_URL": settings.JOBS["REDIS_URL"] + query}
    heard = Subscriber()
    await heard.open()
    await heard.subscribe("school")
    await heard.publish("school", b"hello")
    assert await listen(heard).next() == b"hello"
    await heard.close()


# Taking


async def test_from_3_12_on_a_message_is_taken_at_once(open_subscriber):
    taken, heard = [], asyncio.Event()

    async def take(payload):
        taken.append(payload)

    listening = asyncio.create_task(open_subscriber.listen(take))
    await asyncio.sleep(0)
    receive(open_subscriber, "a")
    asyncio.get_running_loop().call_soon(lambda: (taken.append("next"), heard.set()))
    await heard.wait()
    await asyncio.sleep(0)
    assert taken == ([b"a", "next"] if sys.version_info >= (3, 12) else ["next", b"a"])
    listening.cancel()


async def test_a_message_is_finished_before_the_next_one_begins(open_subscriber):
    taken, gate, began = [], asyncio.Event(), asyncio.Event()

    async def take(payload):
        taken.append(b"begins " + payload)
        began.set()
        async with asyncio.timeout(SECONDS):
            await gate.wait()
            await asyncio.sleep(0)
        taken.append(b"ends " + payload)

    listening = asyncio.create_task(open_subscriber.listen(take))
    await asyncio.sleep(0)
    receive(open_subscriber, "a", "b")
    await began.wait()
    await asyncio.sleep(0)
    assert taken == [b"begins a"]
    gate.set()
    open_subscriber.connection_lost(None)
    with pytest.raises(ConnectionBroken):
        await asyncio.wait_for(listening, SECONDS)
    assert taken == [b"begins a", b"ends a", b"begins b", b"ends b"]


async def test_taking_can_time_out_and_is_cancelled_with_its_listener(open_subscriber):
    errors, began = [], asyncio.Event()

    async def take(payload):
        try:
            async with asyncio.timeout(0.01 if payload == b"a" else None):
                began.set()
                await asyncio.Event().wait()
        except BaseException as error:
            errors.append(type(error))
            if payload == b"b":
                raise

    listening = asyncio.create_task(open_subscriber.listen(take))
    await asyncio.sleep(0)
    for name in ("a", "b"):
        receive(open_subscriber, name)
        await began.wait()
        began.clear()
    while not errors:
        await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await asyncio.sleep(0)
    assert errors == [TimeoutError, asyncio.CancelledError]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("pause", [0, 0.01], ids=["at once", "later"])
async def test_an_error_while_taking_is_raised_by_listen(open_subscriber, pause):
    async def take(payload):
        if pause:
            await asyncio.sleep(pause)
        raise LookupError(payload)

    listening = asyncio.create_task(open_subscriber.listen(take))
    await asyncio.sleep(0)
    receive(open_subscriber, "a")
    with pytest.raises(LookupError, match="a"):
        await asyncio.wait_for(listening, SECONDS)


# Connections that break


async def test_a_cut_connection_is_raised_for_listening_and_joining(
    open_subscriber, redis_client, listen
):
    await open_subscriber.subscribe("school")
    listener = listen(open_subscriber)
    assert redis_client.client_kill_filter(_type="pubsub") == 1
    with pytest.raises(ConnectionBroken):
        await listener.next()
    for ask in (open_subscriber.subscribe, open_subscriber.unsubscribe):
        with pytest.raises(ConnectionBroken):
            await ask("library")
    assert redis_client.client_list(_type="pubsub") == []  # redis-py would have reconnected


async def test_messages_from_before_a_cut_are_still_handed_out(
    open_subscriber, redis_client, listen
):
    await open_subscriber.subscribe("school")
    redis_client.publish("school", "last")
    redis_client.client_kill_filter(_type="pubsub")
    listener = listen(open_subscriber)
    assert await listener.next() == b"last"
    with pytest.raises(ConnectionBroken):
        await listener.next()


async def test_an_answer_that_cannot_be_read_breaks_the_connection(
    open_subscriber, redis_client, monkeypatch, listen
):
    def misunderstand(data, at):
        raise ValueError("rubbish")

    errors = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: errors.append(context["exception"])
    )
    await open_subscriber.subscribe("school")
    monkeypatch.setattr(subscriber, "parse", misunderstand)
    redis_client.publish("school", "hello")
    with pytest.raises(ConnectionBroken, match="rubbish"):
        await listen(open_subscriber).next()
    assert [str(error) for error in errors] == ["rubbish"]


async def test_a_cut_before_redis_has_confirmed_is_raised_at_once(open_subscriber, redis_client):
    redis_client.execute_command("CLIENT", "PAUSE", "3000", "ALL")
    joining = asyncio.create_task(open_subscriber.subscribe("school"))
    await asyncio.sleep(0)
    open_subscriber.connection_lost(None)
    with pytest.raises(ConnectionBroken):
        await asyncio.wait_for(joining, 1)
    redis_client.execute_command("CLIENT", "UNPAUSE")


async def test_a_forbidden_channel_is_refused_with_redis_s_reason(redis_client, settings):
    redis_client.acl_setuser(
        "deaf",
        enabled=True,
        nopass=True,
        commands=["+@all"],
        keys=["*"],
        reset=True,
        reset_channels=True,
    )
    url = settings.JOBS["REDIS_URL"].replace("redis://", "redis://deaf:any@")
    settings.JOBS = settings.JOBS | {"REDIS_URL": url}
    refused = Subscriber()
    try:
        await refused.open()
        with pytest.raises(Refused, match="NOPERM"):
            await asyncio.wait_for(refused.subscribe("school"), SECONDS)
    finally:
        await refused.close()
        redis_client.acl_deluser("deaf")


# redis-py's private place


def test_this_redis_py_lets_us_read_its_transport():
    assert is_possible()


def test_with_another_redis_py_the_hub_listens_by_the_project_s_layer(monkeypatch):
    assert isinstance(new_layer(), SubscriberLayer)
    monkeypatch.setattr(channel_layer, "is_possible", lambda: False)
    assert type(new_layer()).__name__ == "RedisPubSubChannelLayer"
