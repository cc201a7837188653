"""One connection that subscribes: what Redis says is taken apart as it comes, in whatever pieces."""

import asyncio
import contextlib

import pytest

from jobs.push import channel_layer, subscriber
from jobs.push.channel_layer import new_layer
from jobs.push.subscriber import ConnectionBroken, Refused, Subscriber, is_possible
from jobs.store.resp import pack

SECONDS = 3


class Listener:
    """Listens, and takes one message after the other, when it is asked for the next."""

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
    """Return a subscriber that is connected, and closed in the end."""
    opened = Subscriber()
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def listen():
    """Return a function that listens to a subscriber, until the end."""
    listeners = []

    def start(subscriber):
        listeners.append(Listener(subscriber))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionBroken):
            await listener.task


async def test_what_comes_in_pieces_is_heard_once_and_in_order(open_subscriber, listen):
    payloads = [b"one", b"", b"\r\n$3\r\n", "drei – четыре".encode()]
    for byte in b"".join(pack(["message", "school", payload]) for payload in payloads):
        open_subscriber.data_received(bytes([byte]))
    listener = listen(open_subscriber)
    assert [await listener.next() for _ in payloads] == payloads


async def test_what_is_published_after_subscribe_has_returned_is_heard(
    open_subscriber, redis_client, listen
):
    listener = listen(open_subscriber)
    for number in range(20):
        await open_subscriber.subscribe(f"school.{number}")
        assert await asyncio.to_thread(redis_client.publish, f"school.{number}", str(number)) == 1
        assert await listener.next() == str(number).encode()


async def test_a_megabyte_is_heard_whole(open_subscriber, redis_client, listen):
    await open_subscriber.subscribe("school")
    await asyncio.to_thread(redis_client.publish, "school", b"\r\n" * 500_000)
    assert await listen(open_subscriber).next() == b"\r\n" * 500_000


async def test_of_a_channel_that_was_left_nothing_is_heard(open_subscriber, redis_client, listen):
    await open_subscriber.subscribe("school")
    await open_subscriber.subscribe("library")
    await open_subscriber.unsubscribe("school")
    await open_subscriber.subscribe(
        "end of term"
    )  # whose answer comes after that of what was left
    assert await asyncio.to_thread(redis_client.publish, "school", "a") == 0
    await open_subscriber.publish("library", b"b")
    assert await listen(open_subscriber).next() == b"b"


async def test_who_does_not_take_what_comes_has_it_wait_in_redis_and_gets_all_of_it(
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
        assert len(open_subscriber._heard) < 30  # what came in one piece of what the kernel had
    assert not open_subscriber._heard


async def test_what_has_nothing_to_wait_for_is_done_at_once_as_the_listener_s_task(
    open_subscriber, redis_client
):
    """In the loop's turn in which it has come: before anything that was to be done in the next."""
    taken = []

    async def take(payload):
        taken.append((payload, asyncio.current_task()))

    listening = asyncio.create_task(open_subscriber.listen(take))
    await asyncio.sleep(0)
    heard = asyncio.Event()
    asyncio.get_running_loop().call_soon(
        open_subscriber.data_received, pack(["message", "school", "a"])
    )
    asyncio.get_running_loop().call_soon(lambda: (taken.append("next"), heard.set()))
    await heard.wait()
    assert taken == [(b"a", listening), "next"]
    listening.cancel()


async def test_what_has_to_wait_goes_on_in_the_listener_s_task_and_the_others_after_it(
    open_subscriber,
):
    taken, gate, began = [], asyncio.Event(), asyncio.Event()

    async def take(payload):
        taken.append((b"begins " + payload, asyncio.current_task()))
        began.set()
        async with asyncio.timeout(SECONDS):
            await gate.wait()
            await asyncio.sleep(0)
        taken.append((b"ends " + payload, asyncio.current_task()))

    listening = asyncio.create_task(open_subscriber.listen(take))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(
        open_subscriber.data_received, pack(["message", "school", "a"])
    )
    asyncio.get_running_loop().call_soon(
        open_subscriber.data_received, pack(["message", "school", "b"])
    )
    await began.wait()
    assert taken == [(b"begins a", listening)]
    gate.set()
    open_subscriber._transport.abort()
    with pytest.raises(ConnectionBroken):
        await asyncio.wait_for(listening, SECONDS)
    assert taken == [
        (step + b" " + name, listening) for name in (b"a", b"b") for step in (b"begins", b"ends")
    ]


async def test_what_waits_hears_of_a_time_out_and_of_a_cancel(open_subscriber):
    heard, began = [], asyncio.Event()

    async def take(payload):
        try:
            async with asyncio.timeout(0.01 if payload == b"a" else None):
                began.set()
                await asyncio.Event().wait()
        except BaseException as error:
            heard.append(type(error))
            if payload == b"b":
                raise

    listening = asyncio.create_task(open_subscriber.listen(take))
    await asyncio.sleep(0)
    for name in ("a", "b"):
        asyncio.get_running_loop().call_soon(
            open_subscriber.data_received, pack(["message", "school", name])
        )
        await began.wait()
        began.clear()
    while not heard:
        await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert heard == [TimeoutError, asyncio.CancelledError]


async def test_a_connection_that_is_cut_is_told_to_who_listens_and_to_who_joins(
    open_subscriber, redis_client, listen
):
    await open_subscriber.subscribe("school")
    listener = listen(open_subscriber)
    assert redis_client.client_kill_filter(_type="pubsub") == 1
    with pytest.raises(ConnectionBroken):
        await listener.next()
    for ask in (
        open_subscriber.subscribe,
        open_subscriber.unsubscribe,
    ):  # redis-py would connect anew
        with pytest.raises(ConnectionBroken):
            await ask("library")
    assert redis_client.client_list(_type="pubsub") == []


async def test_what_was_heard_before_the_cut_is_still_handed_out(
    open_subscriber, redis_client, listen
):
    await open_subscriber.subscribe("school")
    redis_client.publish("school", "last")
    redis_client.client_kill_filter(_type="pubsub")
    listener = listen(open_subscriber)
    assert await listener.next() == b"last"
    with pytest.raises(ConnectionBroken):
        await listener.next()


async def test_what_cannot_be_understood_breaks_the_connection(
    open_subscriber, redis_client, monkeypatch, listen
):
    def misunderstand(data, at):
        raise ValueError("rubbish")

    told = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: told.append(context["exception"])
    )
    await open_subscriber.subscribe("school")
    monkeypatch.setattr(subscriber, "parse", misunderstand)
    redis_client.publish("school", "hello")
    with pytest.raises(ConnectionBroken, match="rubbish"):
        await listen(open_subscriber).next()
    assert [str(error) for error in told] == ["rubbish"]


async def test_a_cut_while_redis_has_not_confirmed_yet_is_told_at_once(
    open_subscriber, redis_client
):
    redis_client.execute_command("CLIENT", "PAUSE", "3000", "ALL")
    joining = asyncio.create_task(open_subscriber.subscribe("school"))
    await asyncio.sleep(0)
    open_subscriber._transport.abort()
    with pytest.raises(ConnectionBroken):
        await asyncio.wait_for(joining, 1)
    redis_client.execute_command("CLIENT", "UNPAUSE")


async def test_a_channel_that_the_user_may_not_hear_is_refused_in_redis_s_words(
    redis_client, settings
):
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


def test_this_redis_py_lets_its_transport_be_taken_over():
    assert is_possible()


def test_with_one_that_does_not_the_hub_listens_by_the_project_s_layer(monkeypatch):
    assert type(new_layer()).__name__ == "_Subscription"
    monkeypatch.setattr(channel_layer, "is_possible", lambda: False)
    assert type(new_layer()).__name__ == "RedisPubSubChannelLayer"
