"""What the sockets of one event loop ask for at the same moment shares one round trip."""

import asyncio

import pytest

from jobs.exceptions import StoreUnavailable
from jobs.states import JobState
from jobs.store import indexes, reader, records
from jobs.store.records import Change

from .test_records import NEW, created


async def test_jobs_that_are_asked_for_at_the_same_moment_share_one_round_trip(redis_client):
    created()
    shared = reader.async_reader()
    await shared.read("parcel-1")  # the connection is there now
    calls = []
    really_read_all = shared.read_all

    async def read_all(job_ids):
        calls.append(list(job_ids))
        return await really_read_all(job_ids)

    shared.read_all = read_all
    try:
        outcomes = await asyncio.gather(
            *(shared.read(name) for name in ["parcel-1", "gone", "parcel-1"] * 50)
        )
        assert len(calls) == 1 and sorted(calls[0]) == ["gone", "parcel-1"]
        assert [outcome.record and outcome.record.id for outcome in outcomes[:3]] == [
            "parcel-1",
            None,
            "parcel-1",
        ]
    finally:
        del shared.read_all
        await shared.close()


@pytest.fixture
async def sizes(monkeypatch):
    """Return how many jobs each round trip has read; the third fails."""
    sizes = []
    really_read_all = reader.AsyncReader.read_all

    async def read_all(self, job_ids):
        sizes.append(len(job_ids))
        if len(sizes) == 3:
            raise StoreUnavailable("away")
        return await really_read_all(self, job_ids)

    monkeypatch.setattr(reader.AsyncReader, "read_all", read_all)
    yield sizes
    await reader.async_reader().close()


async def test_of_very_many_some_hundreds_are_read_at_a_time_so_that_nobody_else_waits_for_all(
    sizes,
):
    outcomes = await asyncio.gather(
        *(reader.async_reader().read(f"parcel-{n}") for n in range(reader.BATCH + 1))
    )
    assert sizes == [reader.BATCH, 1]
    assert [outcome.record for outcome in outcomes] == [None] * (reader.BATCH + 1)


async def test_when_the_store_goes_away_in_between_the_rest_is_not_asked_for(sizes):
    reads = (reader.async_reader().read(f"parcel-{n}") for n in range(4 * reader.BATCH))
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    assert sizes == [reader.BATCH] * 3
    assert [isinstance(one, StoreUnavailable) for one in outcomes].index(True) == 2 * reader.BATCH
    assert all(isinstance(one, StoreUnavailable) for one in outcomes[2 * reader.BATCH :])


async def test_what_is_asked_for_during_a_round_trip_is_read_after_it():
    old = created()
    shared = reader.async_reader()
    first = asyncio.ensure_future(shared.read("parcel-1"))
    await asyncio.sleep(0)
    await asyncio.to_thread(records.write, old, old.replace(note="newer"), Change())
    second = await shared.read("parcel-1")
    assert second.record.note == "newer"
    await first
    await shared.close()


async def test_who_gives_up_waiting_does_not_spoil_it_for_the_others():
    created()
    shared = reader.async_reader()
    impatient, patient = (asyncio.ensure_future(shared.read("parcel-1")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).record.id == "parcel-1"
    await shared.close()


async def test_one_job_that_cannot_be_read_at_all_leaves_nobody_waiting(redis_client):
    redis_client.hset(
        "jobs:{deep}",
        mapping={"state": "running", "version": 1, "handler_class": "", "tags": "[" * 99999},
    )
    shared = reader.async_reader()
    outcome = await asyncio.wait_for(shared.read("deep"), 2)
    assert outcome.record.state is JobState.FAILED
    await shared.close()


async def test_a_topic_is_listed_from_asynchronous_code():
    indexes.add_to_indexes(NEW.replace(version=1))
    assert await reader.async_reader().indexed("tag:post", 5) == ["parcel-1"]
    await reader.async_reader().close()


def test_every_event_loop_has_a_reader_of_its_own():
    async def own():
        return reader.async_reader() is reader.async_reader(), reader.async_reader()

    (same, first), (_same, second) = asyncio.run(own()), asyncio.run(own())
    assert same and first is not second
