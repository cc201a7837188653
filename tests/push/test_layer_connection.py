"""The hub's connection: it hears itself, reconnects, and does without a layer that is away."""

import asyncio
import contextlib
import socket
import threading

import pytest
from channels.layers import channel_layers, get_channel_layer

from jobs.push import channel_layer, hub, layer_connection
from jobs.push.channel_layer import close_layer, new_layer
from jobs.push.groups import group_of
from jobs.push.hub import Hub
from jobs.push.subscriber import Subscriber
from tests.factories import NOWHERE

from .conftest import TOPIC
from .test_hub import message, publish
from .watchers import PUBSUB


async def hears_again(page, redis_client):
    """Publish until the page hears. On a busy machine a quick hub may reconnect, and miss one."""
    channel = f"asgi__group__{group_of(TOPIC, 64)}"
    async with asyncio.timeout(5):
        while page.heard.empty():
            redis_client.publish(channel, get_channel_layer().serialize(message(9)))
            await asyncio.sleep(0.02)
    return (await page.next())[1] == 9


# A connection that breaks


async def test_a_hub_whose_connection_was_killed_hears_again(watch, quick, redis_client):
    page = await watch()
    assert redis_client.client_kill_filter(_type="pubsub") > 0
    assert await hears_again(page, redis_client)


async def test_a_killed_connection_is_noticed_at_the_next_beat(watch, monkeypatch, redis_client):
    monkeypatch.setattr(hub, "BEAT_SECONDS", 0.05)
    page = await watch()
    assert redis_client.client_kill_filter(_type="pubsub") > 0
    await page.next_reconciliation(hub.DEAF_AFTER / 2)
    await publish(message(7))
    assert (await page.next())[1] == 7


async def test_a_connection_that_the_kernel_gives_up_is_replaced(watch, monkeypatch):
    subscribers = []

    class NotedSubscriber(Subscriber):
        def __init__(self):
            super().__init__()
            subscribers.append(self)

    monkeypatch.setattr(hub, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(channel_layer, "Subscriber", NotedSubscriber)
    page = await watch()
    subscribers[0].connection_lost(TimeoutError(110, "Connection timed out"))
    await page.next_reconciliation(hub.DEAF_AFTER / 2)
    await publish(message(7))
    assert (await page.next())[1] == 7 and len(subscribers) == 2


class Cable:
    """A TCP connection to Redis that can go silent without being closed. New ones work."""

    def __init__(self, port):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.server.getsockname()[1]}/0"
        self.port, self.pairs, self.cut = port, [], set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_all(self):
        self.cut.update(range(len(self.pairs)))

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.server.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.port))
                self.pairs.append((near, far))
                for source, target in ((near, far), (far, near)):
                    arguments = (len(self.pairs) - 1, source, target)
                    threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(self, number, source, target):
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                if number not in self.cut:
                    target.sendall(data)


@pytest.fixture
def cable(redis_client):
    """Return a cable to the tests' Redis."""
    cable = Cable(redis_client.connection_pool.connection_kwargs["port"])
    yield cable
    cable.close()


async def test_a_half_open_connection_is_replaced_and_watchers_reconcile(
    watch, quick, use_layer, cable, redis_client
):
    use_layer(hosts=[cable.url])
    page = await watch()
    cable.cut_all()
    await page.next_reconciliation(5)
    assert await hears_again(page, redis_client)


async def test_a_hub_that_takes_long_to_connect_connects_once(watch, layers, monkeypatch):
    monkeypatch.setattr(hub, "BEAT_SECONDS", 0.02)
    is_deaf, asked, open_layer = Hub.is_deaf.fget, asyncio.Event(), layer_connection.new_layer

    def is_deaf_and_noted(hub):
        asked.set()
        return is_deaf(hub)

    def open_slow_layer():
        layer = open_layer()
        name = layer.new_channel

        async def name_late():
            await asyncio.wait_for(asked.wait(), 2)
            return await name()

        monkeypatch.setattr(layer, "new_channel", name_late)
        return layer

    monkeypatch.setattr(Hub, "is_deaf", property(is_deaf_and_noted))
    monkeypatch.setattr(layer_connection, "new_layer", open_slow_layer)
    page = await watch()
    asked.clear()
    await asyncio.wait_for(asked.wait(), 2)  # the keeper has had the lock
    assert len(layers) == 1 and not page.reconciled.is_set()


# Beats


async def test_a_lost_beat_makes_every_watcher_read_its_job(watch, layers, monkeypatch):
    monkeypatch.setattr(hub, "BEAT_SECONDS", 0.02)
    page = await watch()
    send, lost = layers[0].send, []

    async def lose_two(channel, beat):
        if len(lost) == 2:
            await send(channel, beat)
        else:
            lost.append(beat)

    monkeypatch.setattr(layers[0], "send", lose_two)
    await page.next_reconciliation()  # long before the hub is deaf, or RECONCILE_SECONDS is over
    assert len(lost) == 2


async def test_while_every_beat_arrives_nobody_reconciles(watch, layers, monkeypatch):
    monkeypatch.setattr(hub, "BEAT_SECONDS", 0.02)
    page = await watch()
    send, beats = layers[0].send, asyncio.Semaphore(0)

    async def count(channel, beat):
        await send(channel, beat)
        beats.release()

    monkeypatch.setattr(layers[0], "send", count)
    for _ in range(10):
        await asyncio.wait_for(beats.acquire(), 3)
    assert not watch.hub.is_deaf and not page.reconciled.is_set()


# A layer that is away


async def test_a_hub_connects_when_its_layer_is_back(
    watch, quick, use_layer, caplog, redis_client
):
    use_layer(hosts=[NOWHERE])
    page = await watch()
    assert "the channel layer does not answer, pages read their jobs instead" in caplog.text
    use_layer()
    await asyncio.wait_for(page.reconciled.wait(), 3)
    assert await hears_again(page, redis_client)


async def test_a_layer_that_is_away_is_logged_once_for_all_watchers(watch, use_layer, caplog):
    use_layer(hosts=[NOWHERE])
    for number in range(10):
        await watch(f"job:{number}")
    assert caplog.text.count("the channel layer does not answer") == 1


@pytest.mark.usefixtures("no_layer", "quick")
async def test_without_a_layer_watchers_reconcile_and_one_warning_is_logged(
    watch, settings, caplog
):
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.05}
    page = await watch()
    for _ in range(3):
        await page.next_reconciliation()
    (warning,) = caplog.messages
    assert "CHANNEL_LAYERS has no 'default'" in warning


# Surprises of the libraries


async def test_the_hub_stops_even_if_a_cancel_is_swallowed(watch, quick, layers, monkeypatch):
    """Python 3.11's `wait_for` swallows one in the turn in which its command has ended."""
    page = await watch()
    sending = asyncio.Event()

    async def swallow(layer, channel, message):
        if not sending.is_set():
            sending.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def in_this_task(command, seconds):
        return await command

    monkeypatch.setattr(type(layers[0]), "send", swallow)  # the hub may have reconnected
    monkeypatch.setattr(asyncio, "wait_for", in_this_task)
    await sending.wait()
    await watch.hub.unwatch(TOPIC, page)


@pytest.mark.parametrize("config", [{}, {"prefix": "school"}, {"serializer_format": "json"}])
async def test_our_own_subscription_hears_what_the_project_s_layer_sends(use_layer, config):
    use_layer(PUBSUB, **config)
    ours, theirs = new_layer(), channel_layers.make_backend("default")
    assert type(ours) is not type(theirs)
    channel = await ours.new_channel()
    await ours.group_add("jobs.1", channel)
    await theirs.group_send("jobs.1", {"type": "job.frame", "n": 1})
    await theirs.send(channel, {"type": "hub.beat", "n": 2})
    heard = asyncio.Queue()
    listening = asyncio.create_task(ours.listen(heard.put))
    assert [(await asyncio.wait_for(heard.get(), 3))()["n"] for _ in range(2)] == [1, 2]
    listening.cancel()
    await close_layer(ours)
    await close_layer(theirs)
