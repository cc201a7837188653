"""What a page subscribes to: the server joins first, then reads, then sends."""

import asyncio
import itertools
from time import monotonic

import pytest
from asgiref.sync import sync_to_async
from django.core import signing

from jobs import access
from jobs.access import TICKET_SALT, Viewer, ticket
from jobs.conf import jobs_settings
from jobs.live import subscription
from jobs.live.close_codes import LOGGED_OUT, NOT_FOUND
from jobs.live.consumer import JobConsumer
from jobs.live.subscription import Subscription
from jobs.push.envelope import message_of
from jobs.push.hub import hub
from jobs.repository import JobRepository
from jobs.runtime.threads import in_thread
from jobs.states import JobState
from jobs.store import reader, records
from jobs.testing import JobCommunicator, drop_pushes
from jobs.waiting.claim import mark_claimed
from tests import factories
from tests.factories import (
    ANN,
    BOB,
    OWNER,
    create_job,
    ended_job,
    locked_database,
    overdue,
    plant,
    started_job,
)

pytestmark = pytest.mark.usefixtures("database_file", "nothing_left")

create_job, started_job, ended_job = map(sync_to_async, (create_job, started_job, ended_job))


async def push(version, job_id, topic=None, frame='{"event":"old"}'):
    """Have the hub hand out a push, as if a worker had sent it."""
    message = message_of(frame, [topic or f"job:{job_id}"], job_id) | {"version": str(version)}
    await hub().hand_out(message)


# One job


@pytest.fixture
def alias():
    """Return the id of a draft, and the job of Ann's that runs in its place."""
    job, draft = factories.create_job(), factories.draft()
    JobRepository().store_alias(draft, job)
    return draft.id, job


async def test_a_page_that_subscribes_to_an_alias_hears_the_running_job(alias):
    draft, job = alias
    async with JobCommunicator(ANN) as page:
        assert await page.subscribe(job=draft) == {"event": "subscribed", "job": draft}
        assert (await page.event("created"))["id"] == job.id
        await in_thread(job.start)
        frame = await page.next()
        assert (frame["event"], frame["job"]["id"], frame["for"]) == (
            "started",
            job.id,
            [{"job": draft}],
        )
        await in_thread(job.complete)
        assert (await page.event("ready"))["id"] == job.id


async def test_an_alias_is_closed_to_strangers(alias):
    async with JobCommunicator(BOB, alias[0]) as page:
        assert await page.close_code() == NOT_FOUND


async def test_a_ticket_for_an_alias_opens_the_running_job(alias):
    draft, job = alias
    async with JobCommunicator(BOB) as page:
        await page.subscribe(job=draft, ticket=ticket(f"job:{draft}"))
        assert (await page.event("created"))["id"] == job.id
    assert hub().watchers() == set()


async def test_the_rights_on_an_alias_can_be_renewed(alias, monkeypatch):
    async with JobCommunicator(ANN, alias[0]) as page:
        await page.event("created")
        (subscription,) = hub().watchers()
        age = jobs_settings().TICKET_AGE - 1
        monkeypatch.setattr(access, "monotonic", lambda: monotonic() + age)
        await subscription.reconcile()
        assert (await page.next())["event"] == "ticket"


async def test_a_lost_push_of_an_alias_is_found_by_reconciling(alias):
    draft, job = alias
    async with JobCommunicator(ANN, draft) as page:
        await page.event("created")
        with drop_pushes():
            await in_thread(job.start)
        (subscription,) = hub().watchers()
        await subscription.reconcile()
        assert (await page.event("started"))["id"] == job.id


async def test_a_page_gets_subscribed_and_then_the_state_of_the_job():
    job = await started_job()
    async with JobCommunicator(ANN) as page:
        assert await page.subscribe(job=job.id) == {"event": "subscribed", "job": job.id}
        frame = await page.next()
        assert (frame["event"], frame["job"]["version"]) == ("started", job.version)


async def test_a_page_hears_everything_in_order():
    job = await create_job()
    async with JobCommunicator(ANN, job.id) as page:
        assert [(await page.next())["event"] for _ in range(2)] == ["subscribed", "created"]
        await in_thread(job.start)
        await in_thread(job.set_progress, 1, 2)
        await in_thread(job.complete)
        frames = [await page.next() for _ in range(3)]
    assert [frame["event"] for frame in frames] == ["started", "progress", "ready"]
    versions = [frame["job"]["version"] for frame in frames]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize("state", ["complete", "failed", "cancelled"])
async def test_an_end_before_the_connect_is_heard_at_once(state):
    job = await ended_job(JobState(state))
    async with JobCommunicator(ANN, job.id) as page:
        assert (await page.next())["event"] == "subscribed"
        frame = await page.next()
        assert frame["job"]["state"] == state
        assert await page.receive_nothing()


async def test_an_end_before_the_connect_is_heard_after_redis_was_emptied(redis_client):
    job = await ended_job()
    redis_client.flushall()
    async with JobCommunicator(ANN, job.id) as page:
        assert (await page.event("ready"))["id"] == job.id


async def test_an_end_between_joining_and_reading_is_heard_once(monkeypatch):
    job = await started_job()
    really_find = JobRepository.afind

    async def afind(self, job_id):
        await in_thread(job.complete)
        return await really_find(self, job_id)

    monkeypatch.setattr(JobRepository, "afind", afind)
    async with JobCommunicator(ANN, job.id) as page:
        assert [(await page.next())["event"] for _ in range(2)] == ["subscribed", "ready"]
        assert await page.receive_nothing()


async def test_an_end_between_reading_and_sending_is_heard_once_and_last(monkeypatch):
    job, pushed = await started_job(), asyncio.Event()
    really_find, really_deliver = JobRepository.afind, Subscription.deliver

    async def deliver(self, *push):
        await really_deliver(self, *push)
        pushed.set()

    async def afind(self, job_id):
        found = await really_find(self, job_id)
        await in_thread(job.complete)
        await asyncio.wait_for(pushed.wait(), 3)
        return found

    monkeypatch.setattr(Subscription, "deliver", deliver)

    monkeypatch.setattr(JobRepository, "afind", afind)
    async with JobCommunicator(ANN, job.id) as page:
        assert [(await page.next())["event"] for _ in range(3)] == [
            "subscribed",
            "started",
            "ready",
        ]
        assert await page.receive_nothing()


async def test_a_page_gets_the_state_even_if_too_many_pushes_were_held(monkeypatch):
    monkeypatch.setattr(subscription, "HELD_PUSHES", 2)
    job = await started_job()
    really_find = JobRepository.afind

    async def afind(self, job_id):
        for version in (1, 2, 3):
            await push(version, job_id)
        return await really_find(self, job_id)

    monkeypatch.setattr(JobRepository, "afind", afind)
    async with JobCommunicator(ANN, job.id) as page:
        assert [(await page.next())["event"] for _ in range(2)] == ["subscribed", "started"]
        assert await page.receive_nothing()


async def test_an_old_push_does_not_move_a_page_back():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        await push(job.version - 1, job.id)
        await push(job.version, job.id)
        await in_thread(job.complete)
        assert (await page.next())["event"] == "ready"
        await push(job.version - 1, job.id)
        assert await page.receive_nothing()


@pytest.mark.parametrize("session", [BOB, {}], ids=["a stranger", "nobody"])
async def test_someone_else_s_job_is_answered_as_an_unknown_one(session):
    job = await started_job()
    async with JobCommunicator(session) as page:
        hidden = await page.subscribe(job=job.id)
        absent = await page.subscribe(job="nobody")
        assert hidden["event"] == "error" and hidden["code"] == "not_found"
        assert {**hidden, "job": ""} == {**absent, "job": ""}
        await in_thread(job.complete)
        assert await page.receive_nothing()
        assert hub().watchers() == set()


async def test_a_job_past_its_deadline_is_sent_as_lost(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 0.03}
    job = await started_job()
    await asyncio.sleep(0.04)
    async with JobCommunicator(ANN, job.id) as page:
        assert [(await page.next())["event"] for _ in range(2)] == ["subscribed", "lost"]


async def test_subscribing_twice_sends_the_state_again_and_each_event_once():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        assert (await page.subscribe(job=job.id))["event"] == "subscribed"
        assert (await page.next())["event"] == "started"
        await in_thread(job.complete)
        assert (await page.next())["event"] == "ready"
        assert await page.receive_nothing()


async def test_a_job_in_two_subscriptions_is_heard_once():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.subscribe(mine=True)
        for _subscription in range(2):
            await page.event("started")
        await in_thread(job.complete)
        while (frame := await page.next())["event"] != "ready":
            pass
        assert frame["job"]["id"] == job.id
        assert await page.receive_nothing()


async def test_a_page_that_has_unsubscribed_hears_nothing_more():
    job, other = await started_job(), await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.subscribe(job=other.id)
        await page.event("started")
        answer = await page.ask(action="unsubscribe", job=job.id)
        while answer["event"] != "unsubscribed":
            answer = await page.next()
        assert answer == {"event": "unsubscribed", "job": job.id}
        await in_thread(job.complete)
        await in_thread(other.complete)
        assert (await page.event("ready"))["id"] == other.id


async def test_unsubscribing_from_nothing_is_harmless():
    async with JobCommunicator(ANN) as page:
        assert await page.ask(action="unsubscribe", mine=True) == {
            "event": "unsubscribed",
            "mine": True,
        }


# Many jobs


async def test_my_jobs_start_with_the_alive_and_unseen_oldest_first():
    first, second, seen = await started_job(), await ended_job(), await ended_job()
    await in_thread(mark_claimed, seen, "/parcels/")
    await create_job(owner="visitor:bob")
    async with JobCommunicator(ANN) as page:
        assert await page.subscribe(mine=True) == {"event": "subscribed", "mine": True}
        frames = [await page.next() for _ in range(2)]
        assert [(frame["event"], frame["job"]["id"]) for frame in frames] == [
            ("started", first.id),
            ("ready", second.id),
        ]
        assert await page.receive_nothing()


async def test_a_new_job_of_mine_is_heard_and_someone_else_s_is_not():
    async with JobCommunicator(ANN) as page:
        await page.subscribe(mine=True)
        await create_job(owner="visitor:bob")
        job = await create_job()
        frame = await page.next()
        assert (frame["event"], frame["job"]["id"]) == ("created", job.id)


async def test_a_list_hears_that_a_job_is_lost(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 0.2, "RECONCILE_SECONDS": 0.05}
    job = await started_job()
    async with JobCommunicator(ANN) as page:
        await page.subscribe(mine=True)
        assert (await page.event("started"))["id"] == job.id
        assert (await page.event("lost"))["id"] == job.id


async def test_a_session_without_an_owner_has_no_jobs():
    async with JobCommunicator({}) as page:
        assert (await page.subscribe(mine=True))["code"] == "not_found"


async def test_staff_may_listen_to_a_tag_and_others_may_not(monkeypatch):
    job = await started_job(tags=["classroom:42"])
    async with JobCommunicator(ANN) as page:
        assert (await page.subscribe(tag="classroom:42"))["code"] == "not_found"

    async def viewer(self, since=0.0):
        return Viewer(is_staff=True)

    monkeypatch.setattr(JobConsumer, "viewer", viewer)
    async with JobCommunicator() as page:
        assert await page.subscribe(tag="classroom:42") == {
            "event": "subscribed",
            "tag": "classroom:42",
        }
        assert (await page.next())["job"]["id"] == job.id
        await in_thread(job.complete)
        assert (await page.next())["event"] == "ready"


async def test_one_damaged_job_does_not_hide_my_others(redis_client):
    bad, good = await started_job(), await started_job()
    plant(redis_client, bad, version="soon")
    async with JobCommunicator(ANN) as page:
        await page.subscribe(mine=True)
        events = {(frame := await page.next())["job"]["id"]: frame["event"] for _ in range(2)}
        assert events == {bad.id: "failed", good.id: "started"}


# Reconciling


async def test_an_end_whose_push_was_lost_is_found_by_reconciling(settings, redis_client):
    settings.JOBS = settings.JOBS | {"RECONCILE_SECONDS": 0.05}
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        later = job.record.replace(state=JobState.COMPLETE)
        await in_thread(
            records.write, job.record, later, records.Change(stamp="ended_at", deadline=0)
        )
        assert (await page.event("ready"))["state"] == "complete"
        await asyncio.sleep(0.2)
        assert await page.receive_nothing()


async def test_reconciling_reads_all_watched_jobs_in_one_call(monkeypatch):
    jobs = [await started_job() for _ in range(3)]
    async with JobCommunicator(ANN) as page:
        for job in jobs:
            await page.subscribe(job=job.id)
            await page.event("started")
        calls, really_read_all = [], reader.async_reader().read_all

        async def read_all(job_ids):
            calls.append(sorted(job_ids))
            return await really_read_all(job_ids)

        monkeypatch.setattr(reader.async_reader(), "read_all", read_all)
        await hub().reconcile()
        assert calls == [sorted(job.id for job in jobs)]


async def test_a_job_that_stays_missing_longer_than_a_heartbeat_is_not_found(
    redis_client, settings
):
    settings.JOBS = settings.JOBS | {"HEARTBEAT": 0}
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        redis_client.flushall()
        await hub().reconcile()
        assert await page.receive_nothing()
        await hub().reconcile()
        assert (await page.next())["code"] == "not_found"
        assert hub().watchers() == set()


async def test_a_page_waits_for_a_job_that_its_worker_will_rewrite(redis_client):
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        redis_client.flushall()
        for _ in range(3):
            await hub().reconcile()
        await in_thread(job.complete)
        assert (await page.event("ready"))["id"] == job.id


async def test_a_rewritten_record_is_newer_than_the_page_s_version(redis_client):
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        redis_client.flushall()
        await in_thread(job.set_progress, 1, 2)
        assert (await page.event("progress"))["version"] > job.record.started_at
        await in_thread(job.complete)
        assert (await page.event("ready"))["state"] == "complete"


# Tickets and logging out


@pytest.mark.parametrize("topic", ["job:{id}", f"owner:{OWNER}", "tag:classroom:42"])
async def test_the_bearer_of_a_ticket_listens_without_a_session(topic):
    job = await started_job(tags=["classroom:42"])
    async with JobCommunicator({}) as page:
        assert (await page.subscribe(job=job.id, ticket=ticket(topic.format(id=job.id))))[
            "event"
        ] == "subscribed"
        assert (await page.next())["event"] == "started"


@pytest.mark.parametrize(
    "given",
    ["x", ticket("job:another"), ticket("tag:other"), 7, {}, ["x"], "\x00"],
    ids=itertools.count(),
)
async def test_a_ticket_that_does_not_fit_falls_back_to_the_session(given):
    job = await started_job()
    async with JobCommunicator(BOB) as stranger:
        assert (await stranger.subscribe(job=job.id, ticket=given))["code"] == "not_found"
    async with JobCommunicator(ANN) as owner:
        assert (await owner.subscribe(job=job.id, ticket=given))["event"] == "subscribed"


async def test_a_ticket_asks_no_database(monkeypatch):
    job = await started_job()

    async def refuse(scope):
        raise AssertionError("the session was read")

    monkeypatch.setattr("jobs.live.consumer.viewer_of_scope", refuse)
    async with JobCommunicator({}) as page:
        assert (await page.subscribe(job=job.id, ticket=ticket(f"job:{job.id}")))[
            "event"
        ] == "subscribed"


async def test_after_a_ticket_s_age_the_socket_renews_the_ticket(settings):
    settings.JOBS = settings.JOBS | {"TICKET_AGE": 0.05, "RECONCILE_SECONDS": 0.02}
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        while (frame := await page.next())["event"] != "ticket":
            pass
        assert frame["job"] == job.id
        assert signing.loads(frame["ticket"], salt=TICKET_SALT) == f"job:{job.id}"


async def test_a_lost_right_ends_the_subscription_after_a_ticket_s_age(settings, monkeypatch):
    settings.JOBS = settings.JOBS | {"TICKET_AGE": 0.05, "RECONCILE_SECONDS": 0.02}
    job = await started_job()

    async def viewer(self, since=0.0):
        return Viewer() if since else Viewer((OWNER,))  # later the user is deactivated

    monkeypatch.setattr(JobConsumer, "viewer", viewer)
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        answer = await page.next()
        assert (answer["event"], answer["code"], answer["job"]) == ("error", "not_found", job.id)
        assert hub().watchers() == set()


async def test_a_logout_closes_the_owner_s_sockets_and_no_others():
    job, other = await started_job(), await started_job(owner="visitor:bob")
    async with JobCommunicator(ANN, job.id) as mine, JobCommunicator(BOB, other.id) as bobs:
        await mine.event("started")
        await bobs.event("started")
        await hub().hand_out({"type": "job.logout", "owner": OWNER})
        assert await mine.close_code() == LOGGED_OUT
        await in_thread(other.complete)
        assert (await bobs.next())["event"] == "ready"


# The subscriptions that a frame names


async def test_a_frame_names_the_subscriptions_that_it_is_for():
    job = await started_job(tags=["red"])
    async with JobCommunicator(ANN, job.id) as page:
        assert (await page.next())["event"] == "subscribed"
        assert (await page.next())["for"] == [{"job": job.id}]
        await page.subscribe(mine=True)
        assert (await page.next())["for"] == [{"job": job.id}, {"mine": True}]
        await in_thread(job.complete)
        frame = await page.next()
        assert (frame["event"], frame["for"]) == ("ready", [{"job": job.id}, {"mine": True}])
        assert await page.receive_nothing()


async def test_a_subscription_does_not_hear_of_the_jobs_of_another():
    mine, tagged = await started_job(), await started_job(owner="visitor:bob", tags=["red"])
    async with JobCommunicator(ANN) as page:
        await page.subscribe(mine=True)
        assert (await page.next())["for"] == [{"mine": True}]
        await page.subscribe(tag="red", ticket=ticket("tag:red"))
        frame = await page.next()
        assert (frame["job"]["id"], frame["for"]) == (tagged.id, [{"tag": "red"}])
        await in_thread(mine.complete)
        assert (await page.next())["for"] == [{"mine": True}]


async def test_a_new_job_reaches_each_subscription_that_it_is_for():
    async with JobCommunicator(ANN) as page:
        await page.subscribe(mine=True)
        await page.subscribe(tag="red", ticket=ticket("tag:red"))
        job = await create_job(tags=["red"])
        named = [(await page.next())["for"] for _ in range(2)]
        assert {"mine": True} in named[1] and {"tag": "red"} in named[1]
        await in_thread(job.start)
        assert (await page.next())["event"] == "started"
        assert await page.receive_nothing()


async def test_a_lost_end_is_heard_even_if_it_was_claimed_elsewhere():
    job = await started_job()
    async with JobCommunicator(ANN) as page:
        await page.subscribe(mine=True)
        await page.event("started")
        with drop_pushes():
            await in_thread(job.complete)
        await in_thread(mark_claimed, job, "/parcels/")
        await hub().reconcile()
        assert (await page.next())["event"] == "ready"
        await hub().reconcile()
        assert await page.receive_nothing()


# A database that does not answer


async def test_f50_overdue_jobs_and_a_locked_database_delay_no_other_page(settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 0.05}
    silent = [await started_job() for _ in range(20)]
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 60}
    theirs = await started_job(owner="visitor:bob")
    await sync_to_async(overdue)(silent[-1])
    with locked_database("EXCLUSIVE"):
        async with JobCommunicator(ANN) as ann, JobCommunicator(BOB) as bob:
            await ann.send_json_to({"action": "subscribe", "mine": True})
            began = monotonic()
            await bob.subscribe(job=theirs.id)
            assert (await bob.next())["event"] == "started"
            assert monotonic() - began < 1
            assert (await ann.next(timeout=10))["event"] == "subscribed"
            assert monotonic() - began < 3
    states = {(await sync_to_async(JobRepository().find)(job.id)).state for job in silent}
    assert states == {JobState.LOST}
