"""Connections to Redis, direct or by sentinels."""

import pytest
import redis

from jobs.exceptions import StoreUnavailable
from jobs.store import connection, server
from jobs.store.reader import async_reader

THREE = "redis+sentinel://a,b:26380,[::1]:26381/main"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", THREE], ids=["direct", "by sentinels"])
async def test_every_wait_for_redis_has_a_timeout(settings, url):
    settings.JOBS = {"REDIS_URL": url}
    for client in (connection.connect(), connection.connect_async()):
        pool = client.connection_pool
        assert isinstance(
            pool, redis.BlockingConnectionPool | redis.asyncio.BlockingConnectionPool
        )
        assert (
            pool.timeout == pool.connection_kwargs["socket_timeout"] == connection.COMMAND_TIMEOUT
        )
        sentinels = pool.sentinel_manager.sentinels if url == THREE else []
        bounds = [
            sentinel.connection_pool.connection_kwargs["socket_timeout"] for sentinel in sentinels
        ]
        assert bounds == [connection.SENTINEL_TIMEOUT] * len(sentinels)


async def test_unreachable_sentinels_raise_store_unavailable_and_then_fail_fast(settings):
    settings.JOBS = {"REDIS_URL": "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main"}
    with pytest.raises(StoreUnavailable, match="JOBS\\['REDIS_URL'\\].* No master found"):
        server.ping()
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        server.standby()
    settings.JOBS = dict(settings.JOBS)  # as in a process that has not had a timeout yet
    reader = async_reader()
    with pytest.raises(StoreUnavailable, match="No master found"):
        await reader.read("parcel-1")
    await reader.close()
