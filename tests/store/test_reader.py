"""Simultaneous reads in one event loop share a round trip."""

import asyncio

import pytest

from jobs.exceptions import StoreUnavailable
from jobs.states import JobState
from jobs.store import indexes, reader, records
from jobs.store.records import Change

from .samples import NEW, created


async def test_reads_at_the_same_moment_share_one_round_trip(redis_client):
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
    """Return the number of jobs in each round trip; the third one fails."""
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


async def test_very_many_jobs_are_read_in_batches(
    sizes,
):
    outcomes = await asyncio.gather(
        *(reader.async_reader().read(f"parcel-{n}") for n in range(reader.BATCH + 1))
    )
    assert sizes == [reader.BATCH, 1]
    assert [outcome.record for outcome in outcomes] == [None] * (reader.BATCH + 1)


async def test_after_a_failed_batch_the_remaining_jobs_are_not_read(sizes):
    reads = (reader.async_reader().read(f"parcel-{n}") for n in range(4 * reader.BATCH))
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    assert sizes == [reader.BATCH] * 3
    assert [isinstance(one, StoreUnavailable) for one in outcomes].index(True) == 2 * reader.BATCH
    assert all(isinstance(one, StoreUnavailable) for one in outcomes[2 * reader.BATCH :])


async def test_a_read_that_starts_during_a_round_trip_gets_its_own():
    old = created()
    shared = reader.async_reader()
    first = asyncio.ensure_future(shared.read("parcel-1"))
    await asyncio.sleep(0)
    await asyncio.to_thread(records.write, old, old.replace(note="newer"), Change())
    second = await shared.read("parcel-1")
    assert second.record.note == "newer"
    await first
    await shared.close()


async def test_a_cancelled_read_does_not_cancel_the_others():
    created()
    shared = reader.async_reader()
    impatient, patient = (asyncio.ensure_future(shared.read("parcel-1")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).record.id == "parcel-1"
    await shared.close()


async def test_a_damaged_job_does_not_leave_its_reader_waiting(redis_client):
    redis_client.hset(
        "jobs:{deep}",
        mapping={"state": "running", "version": 1, "handler_class": "", "tags": "[" * 99999},
    )
    shared = reader.async_reader()
    outcome = await asyncio.wait_for(shared.read("deep"), 2)
    assert outcome.record.state is JobState.FAILED
    await shared.close()


async def test_asynchronous_code_can_list_the_jobs_of_a_topic():
    indexes.add_to_indexes(NEW.replace(version=1))
    assert await reader.async_reader().indexed("tag:post", 5) == ["parcel-1"]
    await reader.async_reader().close()


def test_each_event_loop_has_its_own_reader():
    async def own():
        return reader.async_reader() is reader.async_reader(), reader.async_reader()

    (same, first), (_same, second) = asyncio.run(own()), asyncio.run(own())
    assert same and first is not second
