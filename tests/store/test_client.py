"""One client for all threads of a process, and one error for all that can go wrong."""

import asyncio

import pytest

from jobs.core.transitions import Change
from jobs.exceptions import StoreUnavailable
from jobs.runtime.per_process import forget_all
from jobs.store import connection, indexes, reader, records, server
from jobs.store.client import client
from tests.factories import NOWHERE, at_once, create_job, eventually

from .samples import NEW, created


def test_threads_that_start_at_the_same_moment_share_one_client():
    job = create_job()
    for _ in range(30):
        forget_all()
        outcomes = at_once([lambda: records.read(job.id)] * 8)
        assert {outcome.record.version for outcome in outcomes} == {job.version}
        assert len(set(at_once([client] * 8))) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda: records.write(None, NEW, Change()),
        lambda: records.read("parcel-1"),
        lambda: records.read_all(["parcel-1", "parcel-2"]),
        lambda: indexes.add_to_indexes(NEW),
        lambda: indexes.indexed("tag:post", 5),
        lambda: records.beat(["parcel-1"], 5),
        server.ping,
        lambda: asyncio.run(read_async("parcel-1")),
    ],
    ids=["write", "read", "read_all", "add_to_indexes", "indexed", "beat", "ping", "async_read"],
)
def test_an_unreachable_redis_raises_store_unavailable(settings, ask):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable, match="JOBS\\['REDIS_URL'\\]"):
        ask()


async def read_async(job_id):
    """Read a job as a socket does, then close the connections."""
    try:
        return await reader.async_reader().read(job_id)
    finally:
        await reader.async_reader().close()


def test_a_redis_without_memory_refuses_writes_until_it_has_some_again(redis_client):
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            records.write(None, NEW, Change())
    finally:
        redis_client.config_set("maxmemory", 0)
    assert redis_client.dbsize() == 0
    assert created().version


def test_a_hanging_redis_ends_in_a_timeout(redis_client, monkeypatch, settings):
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT", 0.1)
    monkeypatch.setattr("jobs.store.client.FAIL_FAST_SECONDS", 0.1)
    settings.JOBS = dict(settings.JOBS)  # new connections, with the short timeout
    redis_client.execute_command("CLIENT", "PAUSE", 600, "ALL")
    with pytest.raises(StoreUnavailable, match="[Tt]imeout"):
        records.read("parcel-1")
    eventually(lambda: redis_client.ping())
    assert records.read("parcel-1").record is None
