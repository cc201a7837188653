"""The way in from the channel layer: one hub per process hands each frame to the watchers of its topic."""

import asyncio
import contextlib
import socket
import threading

import pytest
from channels.layers import channel_layers, get_channel_layer

from jobs.push import hub as hub_module
from jobs.push import publisher
from jobs.push.channel_layer import close_layer, new_layer
from jobs.push.envelope import LOGOUT, message_of
from jobs.push.groups import group_of
from jobs.push.hub import Hub, hub
from tests.factories import NOWHERE, eventually

PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
LAYERS = {
    "pubsub": PUBSUB,
    "core": "channels_redis.core.RedisChannelLayer",
    "in memory": "channels.layers.InMemoryChannelLayer",
}
TOPIC = "job:parcel-1"
EVERYBODY = "jobs.all"


class Page:
    """A watcher that notes what it is told."""

    def __init__(self):
        self.heard = asyncio.Queue()
        self.looked = asyncio.Event()
        self.logged_out = asyncio.Queue()

    async def deliver(self, job_id, version, frame):
        await self.heard.put((job_id, version, frame))

    async def look_again(self):
        self.looked.set()

    async def on_logout(self, owner):
        await self.logged_out.put(owner)

    async def next(self, seconds=3):
        return await asyncio.wait_for(self.heard.get(), seconds)


class SickPage(Page):
    """A watcher that raises whatever it is told."""

    async def deliver(self, job_id, version, frame):
        raise RuntimeError("out of order")

    async def look_again(self):
        raise RuntimeError("out of order")


def message(version=7, topic=TOPIC, frame="frame"):
    return message_of(frame, [topic], "parcel-1") | {"version": str(version)}


@pytest.fixture
async def watch():
    """Return a function that has a page watch topics; all leave at the end, and nothing is left running."""
    here, watching = Hub(), []

    async def start(*topics, page=None):
        page = page or Page()
        for topic in topics or [TOPIC]:
            await here.watch(topic, page)
            watching.append((topic, page))
        return page

    start.hub = here
    yield start
    for topic, page in watching:
        await here.unwatch(topic, page)
    assert {task for task in asyncio.all_tasks() if "Hub" in repr(task)} == set()


@pytest.fixture
def quick(monkeypatch):
    """Let the hub notice within the test that it hears nothing."""
    monkeypatch.setattr(hub_module, "BEAT", 0.03)
    monkeypatch.setattr(hub_module, "DEAF_AFTER", 0.15)
    monkeypatch.setattr(hub_module, "TIMEOUT", 0.5)
    monkeypatch.setattr(hub_module, "PAUSE", 0.01)


@pytest.fixture
def use_hosts(settings):
    """Return a function that has the project's layer use other hosts."""

    def use(*hosts, backend=PUBSUB):
        config = {"hosts": list(hosts)} if hosts else {}
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}

    yield use
    channel_layers.backends.clear()


async def publish(given, group=None):
    """Publish a message to a topic's group from another thread, as a worker does."""
    if group is None:
        await asyncio.to_thread(publisher.send, given)
    else:
        await asyncio.to_thread(publisher._group_send, [group], given)


@pytest.mark.parametrize("name", LAYERS)
async def test_a_frame_reaches_who_watches_its_topic(watch, use_hosts, settings, name):
    use_hosts(*([] if name == "in memory" else [settings.JOBS["REDIS_URL"]]), backend=LAYERS[name])
    page = await watch()
    await publish(message(7))
    assert await page.next() == ("parcel-1", 7, "frame")


async def test_a_frame_reaches_everybody_who_watches_and_nobody_else(watch, settings):
    settings.JOBS = settings.JOBS | {"SHARDS": 1}
    first, second, other = await watch(), await watch(), await watch("job:parcel-2")
    await publish(message(7))
    await publish(message(8, "job:parcel-2"))
    assert (await first.next())[1] == (await second.next())[1] == 7
    assert (await other.next())[1] == 8
    assert first.heard.empty() and second.heard.empty() and other.heard.empty()


async def test_frames_of_a_topic_are_handed_out_in_order(watch):
    page = await watch()
    for version in range(50):
        await publish(message(version))
    assert [(await page.next())[1] for _ in range(50)] == list(range(50))


async def test_who_has_left_hears_nothing_more(watch):
    leaving, staying = await watch(), await watch()
    await watch.hub.unwatch(TOPIC, leaving)
    await watch.hub.unwatch(TOPIC, leaving)
    await publish(message(7))
    await staying.next()
    assert leaving.heard.empty()
    assert watch.hub.watchers() == {staying}


async def test_a_page_that_raises_does_not_keep_the_frame_from_the_others(watch, caplog):
    await watch(page=SickPage())
    well = await watch()
    await publish(message(7))
    assert (await well.next())[1] == 7
    assert "a frame of job parcel-1 was not delivered to one socket" in caplog.text


async def test_a_process_joins_a_group_once_however_many_watch(watch, redis_client):
    for _ in range(20):
        await watch()
    name = f"asgi__group__{group_of(TOPIC, 64)}"
    assert dict(redis_client.pubsub_numsub(name)) == {name.encode(): 1}
    assert len(redis_client.pubsub_channels("asgispecific.*")) == 1


async def test_with_the_last_watcher_the_hub_stops_and_starts_again_with_the_next(redis_client):
    here = Hub()
    for _ in range(2):
        page = Page()
        await here.watch(TOPIC, page)
        assert redis_client.pubsub_channels()
        await publish(message(7))
        await page.next()
        await here.unwatch(TOPIC, page)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.to_thread(eventually, lambda: redis_client.pubsub_channels() == [])


async def test_who_comes_while_the_last_one_leaves_is_served(watch):
    for version in range(10):
        first, second = Page(), Page()
        await watch.hub.watch(TOPIC, first)
        await asyncio.gather(watch.hub.unwatch(TOPIC, first), watch.hub.watch(TOPIC, second))
        await publish(message(version))
        assert (await second.next())[1] == version
        await watch.hub.unwatch(TOPIC, second)


async def test_everybody_is_told_of_a_logout(watch):
    pages = [await watch(), await watch("job:parcel-2")]
    await asyncio.to_thread(publisher.broadcast, {"type": LOGOUT, "owner": "user:7"})
    assert [await asyncio.wait_for(page.logged_out.get(), 3) for page in pages] == [
        "user:7",
        "user:7",
    ]


@pytest.mark.parametrize(
    "rubbish",
    [
        {"type": "websocket.receive", "text": "{}"},
        {"type": "job.frame"},
        {
            "type": "job.frame",
            "job": "parcel-1",
            "version": "soon",
            "frame": "",
            "topics": [TOPIC],
        },
        {},
    ],
)
async def test_rubbish_in_the_layer_does_not_stop_the_hub(watch, monkeypatch, rubbish):
    monkeypatch.setattr(hub_module, "PAUSE", 0.01)
    page = await watch()
    await publish(rubbish, EVERYBODY)
    await publish(message(7))
    assert (await page.next())[1] == 7


async def hears_again(page, redis_client):
    """Publish until the page hears: on a busy machine a quick hub may think itself deaf, and miss one."""
    async with asyncio.timeout(5):
        while page.heard.empty():
            redis_client.publish(
                f"asgi__group__{group_of(TOPIC, 64)}", get_channel_layer().serialize(message(9))
            )
            await asyncio.sleep(0.02)
    return (await page.next())[1] == 9


async def test_a_hub_whose_connection_was_killed_hears_again(watch, quick, redis_client):
    page = await watch()
    assert redis_client.client_kill_filter(_type="pubsub") > 0
    assert await hears_again(page, redis_client)


class Cable:
    """A TCP connection to Redis that can go silent without being closed; new connections pass."""

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
                near, far = (
                    self.server.accept()[0],
                    socket.create_connection(("127.0.0.1", self.port)),
                )
                self.pairs.append((near, far))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(
                        target=self._pump, args=(len(self.pairs) - 1, source, target), daemon=True
                    ).start()

    def _pump(self, number, source, target):
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                if number not in self.cut:
                    target.sendall(data)


@pytest.fixture
def cable(redis_client):
    cable = Cable(redis_client.connection_pool.connection_kwargs["port"])
    yield cable
    cable.close()


async def test_a_hub_on_a_half_open_link_makes_a_new_one_and_has_everybody_look_again(
    watch, quick, use_hosts, cable, redis_client
):
    use_hosts(cable.url)
    page = await watch()
    page.looked.clear()
    cable.cut_all()
    await asyncio.wait_for(page.looked.wait(), 5)
    assert await hears_again(page, redis_client)


async def test_when_a_beat_got_lost_other_messages_may_have_been_too_so_everybody_looks_again(
    watch, monkeypatch
):
    monkeypatch.setattr(hub_module, "BEAT", 0.02)
    page = await watch()
    page.looked.clear()
    send, lost = watch.hub._layer.send, []

    async def lose_two(channel, message):
        if len(lost) == 2:
            await send(channel, message)
        else:
            lost.append(message)

    monkeypatch.setattr(watch.hub._layer, "send", lose_two)
    await asyncio.wait_for(
        page.looked.wait(), 3
    )  # far sooner than it is deaf, or than RECONCILE_SECONDS
    assert len(lost) == 2


async def test_a_hub_that_takes_long_to_connect_connects_once(watch, monkeypatch):
    monkeypatch.setattr(hub_module, "BEAT", 0.02)
    is_deaf, asked, layers = Hub.is_deaf.fget, asyncio.Event(), []

    def keeper_asks(hub):
        asked.set()
        return is_deaf(hub)

    def slow_layer():
        layers.append(new_layer())
        name = layers[-1].new_channel

        async def name_late():
            await asyncio.wait_for(asked.wait(), 2)
            return await name()

        monkeypatch.setattr(layers[-1], "new_channel", name_late)
        return layers[-1]

    monkeypatch.setattr(Hub, "is_deaf", property(keeper_asks))
    monkeypatch.setattr(hub_module, "new_layer", slow_layer)
    page = await watch()
    asked.clear()
    await asyncio.wait_for(asked.wait(), 2)  # the keeper has had the lock
    assert len(layers) == 1 and not page.looked.is_set()


async def test_as_long_as_no_beat_is_missing_nobody_looks_again(watch, monkeypatch):
    monkeypatch.setattr(hub_module, "BEAT", 0.02)
    page = await watch()
    page.looked.clear()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(page.looked.wait(), 0.3)
    assert watch.hub._beat_heard >= 3 and not page.looked.is_set()


async def test_watching_works_with_the_layer_out_of_reach_and_hears_when_it_is_back(
    watch, quick, use_hosts, settings, caplog, redis_client
):
    use_hosts(NOWHERE)
    page = await watch()
    assert "the channel layer does not answer, pages read their jobs instead" in caplog.text
    use_hosts(settings.JOBS["REDIS_URL"])
    await asyncio.wait_for(page.looked.wait(), 3)
    assert await hears_again(page, redis_client)


async def test_a_layer_that_is_away_is_asked_for_once_and_not_by_each_watcher(
    watch, use_hosts, caplog
):
    use_hosts(NOWHERE)
    for number in range(10):
        await watch(f"job:{number}")
    assert caplog.text.count("the channel layer does not answer") == 1


async def test_the_hub_ends_though_a_cancel_of_its_keeper_is_swallowed(watch, quick, monkeypatch):
    """As Python 3.11's wait_for swallows one that comes in the turn of the loop in which its command has ended."""
    page = await watch()
    sending = asyncio.Event()

    async def swallow(layer, channel, message):
        if not sending.is_set():
            sending.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def in_this_task(command, seconds):
        return await command

    monkeypatch.setattr(
        type(watch.hub._layer), "send", swallow
    )  # the hub may connect anew meanwhile
    monkeypatch.setattr(asyncio, "wait_for", in_this_task)
    await sending.wait()
    await watch.hub.unwatch(TOPIC, page)


async def test_everybody_looks_again_at_the_intervals_of_the_setting(watch, settings):
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.02}
    page = await watch()
    for _ in range(3):
        await asyncio.wait_for(page.looked.wait(), 3)
        page.looked.clear()


async def test_one_who_cannot_look_again_does_not_keep_the_others_from_it(watch, settings, caplog):
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.02}
    await watch(page=SickPage())
    page = await watch()
    await asyncio.wait_for(page.looked.wait(), 3)
    page.looked.clear()
    await asyncio.wait_for(page.looked.wait(), 3)
    assert "1 of 2 watched jobs could not be read" in caplog.text


async def test_an_event_loop_has_one_hub():
    assert hub() is hub()
    assert await asyncio.to_thread(asyncio.run, other_hub()) is not hub()


async def other_hub():
    return hub()


async def test_without_any_layer_pages_read_their_jobs(watch, settings):
    settings.CHANNEL_LAYERS = {}
    channel_layers.backends.clear()
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.02}
    page = await watch()
    await asyncio.wait_for(page.looked.wait(), 3)
    channel_layers.backends.clear()


async def groups_heard(redis_client):
    """Return the groups of topics that anybody is subscribed to."""
    channels = await asyncio.to_thread(redis_client.pubsub_channels, "*__group__*")
    return {
        (name if isinstance(name, str) else name.decode()).partition("__group__")[2]
        for name in channels
    }


async def test_a_group_in_which_nobody_watches_any_more_is_left(watch, redis_client):
    leaving, staying = await watch("job:1"), await watch("job:2")
    first, second = group_of("job:1", 64), group_of("job:2", 64)
    assert await groups_heard(redis_client) == {EVERYBODY, first, second}
    await watch.hub.unwatch("job:1", leaving)
    assert await groups_heard(redis_client) == {EVERYBODY, second}
    back = await watch("job:1")
    await publish(message(7, "job:1"))
    assert (await back.next())[1] == 7
    assert staying.heard.empty()


async def test_a_group_in_which_others_watch_is_kept(watch, settings, redis_client):
    settings.JOBS = settings.JOBS | {"SHARDS": 1}
    first, second, staying = await watch("job:1"), await watch("job:1"), await watch("job:2")
    await watch.hub.unwatch("job:1", first)
    await watch.hub.unwatch("job:1", second)
    await watch.hub.unwatch("job:1", second)
    assert await groups_heard(redis_client) == {EVERYBODY, "jobs.0"}
    await publish(message(7, "job:2"))
    assert (await staying.next())[1] == 7


async def test_who_comes_while_the_last_of_a_group_leaves_hears(watch, settings):
    settings.JOBS = settings.JOBS | {"SHARDS": 1}
    await watch("owner:visitor:ann")  # so that the hub does not stop
    leaving = await watch("job:1")
    _left, coming = await asyncio.gather(watch.hub.unwatch("job:1", leaving), watch("job:2"))
    await publish(message(7, "job:2"))
    assert (await coming.next())[1] == 7


async def test_a_message_that_comes_by_two_groups_is_handed_out_once_to_each_who_watches_a_topic_of_it(
    watch,
):
    both = ["job:parcel-1", "owner:visitor:ann"]
    waiting, listing = await watch(both[0]), await watch(both[1])
    for version in (7, 8):
        await publish(message_of("frame", both, "parcel-1") | {"version": str(version)})
    assert [(await page.next())[1] for page in (waiting, listing, waiting, listing)] == [
        7,
        7,
        8,
        8,
    ]
    assert waiting.heard.empty() and listing.heard.empty()


async def test_a_connection_that_is_cut_is_noticed_before_a_beat_is_missed(
    watch, monkeypatch, redis_client
):
    monkeypatch.setattr(hub_module, "BEAT", 0.05)
    page = await watch()
    assert redis_client.client_kill_filter(_type="pubsub") > 0
    await asyncio.wait_for(page.looked.wait(), hub_module.DEAF_AFTER / 2)
    await publish(message(7))
    assert (await page.next())[1] == 7


async def test_a_connection_that_the_kernel_gives_up_is_not_taken_for_one_without_messages(
    watch, monkeypatch
):
    monkeypatch.setattr(hub_module, "BEAT", 0.05)
    page = await watch()
    watch.hub._layer._subscriber.connection_lost(TimeoutError(110, "Connection timed out"))
    await asyncio.wait_for(page.looked.wait(), hub_module.DEAF_AFTER / 2)
    await publish(message(7))
    assert (await page.next())[1] == 7


@pytest.mark.parametrize("config", [{}, {"prefix": "school"}, {"serializer_format": "json"}])
async def test_a_subscription_of_our_own_hears_what_the_project_s_layer_sends(settings, config):
    hosts = [settings.JOBS["REDIS_URL"]]
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": PUBSUB, "CONFIG": {"hosts": hosts, **config}}
    }
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
    channel_layers.backends.clear()


@pytest.mark.usefixtures("quick")
async def test_without_a_layer_it_is_said_once_and_pages_read_their_jobs(watch, settings, caplog):
    settings.CHANNEL_LAYERS = {}
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.05}
    page = await watch()
    for _ in range(3):
        page.looked.clear()
        await asyncio.wait_for(page.looked.wait(), 3)
    (said,) = caplog.messages
    assert "CHANNEL_LAYERS has no 'default'" in said
