"""One hub per event loop hands each frame to the watchers of its topic."""

import asyncio

import pytest

from jobs.push import publisher
from jobs.push.envelope import LOGOUT, message_of
from jobs.push.groups import everybody, group_of
from jobs.push.hub import Hub, hub
from tests.factories import eventually

from .conftest import TOPIC
from .watchers import LAYERS, Page, SickPage


def message(version=7, topic=TOPIC, frame="frame"):
    return message_of(frame, [topic], "parcel-1") | {"version": str(version)}


async def publish(given, *groups):
    """Publish a message from another thread, as a worker does."""
    if groups:
        await asyncio.to_thread(publisher.send_to, groups, given)
    else:
        await asyncio.to_thread(publisher.send, given)


@pytest.mark.parametrize("name", LAYERS)
async def test_a_frame_reaches_the_watcher_of_its_topic(watch, use_layer, name):
    use_layer(LAYERS[name])
    page = await watch()
    await publish(message(7))
    assert await page.next() == ("parcel-1", 7, "frame")


async def test_a_frame_reaches_all_watchers_of_its_topic_and_no_others(watch, settings):
    settings.JOBS = settings.JOBS | {"SHARDS": 1}
    first, second, other = await watch(), await watch(), await watch("job:parcel-2")
    await publish(message(7))
    await publish(message(8, "job:parcel-2"))
    assert (await first.next())[1] == (await second.next())[1] == 7
    assert (await other.next())[1] == 8
    assert first.heard.empty() and second.heard.empty() and other.heard.empty()


async def test_frames_arrive_in_the_order_in_which_they_were_sent(watch):
    page = await watch()
    for version in range(50):
        await publish(message(version))
    assert [(await page.next())[1] for _ in range(50)] == list(range(50))


async def test_a_watcher_that_has_left_gets_nothing_more(watch):
    leaving, staying = await watch(), await watch()
    await watch.hub.unwatch(TOPIC, leaving)
    await watch.hub.unwatch(TOPIC, leaving)
    await publish(message(7))
    await staying.next()
    assert leaving.heard.empty()
    assert watch.hub.watchers() == {staying}


async def test_a_watcher_that_raises_does_not_keep_the_frame_from_others(watch, caplog):
    await watch(page=SickPage())
    well = await watch()
    await publish(message(7))
    assert (await well.next())[1] == 7
    assert "a frame of job parcel-1 was not delivered to one socket" in caplog.text


async def test_a_frame_that_arrives_by_two_groups_is_delivered_once(watch):
    both = ["job:parcel-1", "owner:visitor:ann"]
    waiting, listing = await watch(both[0]), await watch(both[1])
    for version in (7, 8):
        await publish(message_of("frame", both, "parcel-1") | {"version": str(version)})
    for version in (7, 8):
        assert [(await page.next())[1] for page in (waiting, listing)] == [version] * 2
    assert waiting.heard.empty() and listing.heard.empty()


async def test_every_watcher_learns_of_a_logout(watch):
    pages = [await watch(), await watch("job:parcel-2")]
    await asyncio.to_thread(publisher.broadcast, {"type": LOGOUT, "owner": "user:7"})
    for page in pages:
        assert await asyncio.wait_for(page.logged_out.get(), 3) == "user:7"


@pytest.mark.parametrize(
    "rubbish",
    [
        {"type": "websocket.receive", "text": "{}"},
        {"type": "job.frame"},
        {"type": "job.frame", "job": "a", "version": "soon", "frame": "", "topics": [TOPIC]},
        {},
    ],
)
async def test_rubbish_in_the_layer_does_not_stop_the_hub(watch, rubbish):
    page = await watch()
    await publish(rubbish, everybody())
    await publish(message(7))
    assert (await page.next())[1] == 7


# Starting and stopping


async def test_the_hub_stops_with_its_last_watcher_and_starts_again(redis_client):
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


async def test_a_watcher_that_comes_while_the_last_one_leaves_is_served(watch):
    for version in range(10):
        first, second = Page(), Page()
        await watch.hub.watch(TOPIC, first)
        await asyncio.gather(watch.hub.unwatch(TOPIC, first), watch.hub.watch(TOPIC, second))
        await publish(message(version))
        assert (await second.next())[1] == version
        await watch.hub.unwatch(TOPIC, second)


async def test_an_event_loop_has_one_hub():
    async def other_hub():
        return hub()

    assert hub() is hub()
    assert await asyncio.to_thread(asyncio.run, other_hub()) is not hub()


# Groups


async def groups_on_redis(redis_client):
    """Return the groups that anybody is subscribed to."""
    channels = await asyncio.to_thread(redis_client.pubsub_channels, "*__group__*")
    return {name.decode().partition("__group__")[2] for name in channels}


async def test_a_process_joins_a_group_once_for_all_its_watchers(watch, redis_client):
    for _ in range(20):
        await watch()
    name = f"asgi__group__{group_of(TOPIC, 64)}"
    assert dict(redis_client.pubsub_numsub(name)) == {name.encode(): 1}
    assert len(redis_client.pubsub_channels("asgispecific.*")) == 1


async def test_a_group_without_watchers_is_left(watch, redis_client):
    leaving, staying = await watch("job:1"), await watch("job:2")
    first, second = group_of("job:1", 64), group_of("job:2", 64)
    assert await groups_on_redis(redis_client) == {everybody(), first, second}
    await watch.hub.unwatch("job:1", leaving)
    assert await groups_on_redis(redis_client) == {everybody(), second}
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
    assert await groups_on_redis(redis_client) == {everybody(), "jobs.0"}
    await publish(message(7, "job:2"))
    assert (await staying.next())[1] == 7


async def test_a_watcher_that_comes_while_its_group_is_left_is_served(watch, settings):
    settings.JOBS = settings.JOBS | {"SHARDS": 1}
    await watch("owner:visitor:ann")  # so that the hub does not stop
    leaving = await watch("job:1")
    _left, coming = await asyncio.gather(watch.hub.unwatch("job:1", leaving), watch("job:2"))
    await publish(message(7, "job:2"))
    assert (await coming.next())[1] == 7


# Reconciling


async def test_every_watcher_reconciles_at_the_interval_of_the_setting(watch, settings):
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.02}
    page = await watch()
    for _ in range(3):
        await page.next_reconciliation()


async def test_a_watcher_that_cannot_reconcile_does_not_hinder_others(watch, settings, caplog):
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.02}
    await watch(page=SickPage())
    page = await watch()
    for _ in range(2):
        await page.next_reconciliation()
    assert "1 of 2 watched jobs could not be read" in caplog.text
