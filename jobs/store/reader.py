"""Reads jobs for sockets: simultaneous reads in one event loop share a round trip."""

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from jobs.exceptions import StoreUnavailable
from jobs.runtime.per_process import per_process

from . import connection
from .client import store_errors
from .keys import index_key
from .records import Outcome, outcomes, queue_reads

BATCH = 500  # jobs in one round trip; between two, the server can serve its other sockets


class AsyncReader:
    """Reads jobs for one event loop."""

    def __init__(self) -> None:
        self._client = connection.connect_async()
        self._one_at_a_time = asyncio.Lock()
        self._wanted: dict[str, asyncio.Future[Outcome]] = {}
        self._reading: set[asyncio.Task[None]] = set()

    async def read(self, job_id: str) -> Outcome:
        """Read one job, with the time of the read. Raises `StoreUnavailable`."""
        if job_id not in self._wanted:
            self._wanted[job_id] = asyncio.get_running_loop().create_future()
            if len(self._wanted) == 1:
                task = asyncio.ensure_future(self._read_wanted())
                self._reading.add(task)
                task.add_done_callback(self._reading.discard)
        return await asyncio.shield(self._wanted[job_id])

    async def read_all(self, job_ids: Sequence[str]) -> list[Outcome]:
        """Read many jobs in one round trip."""
        pipeline = queue_reads(self._client.pipeline(transaction=False), job_ids)
        with store_errors():
            return outcomes(job_ids, await pipeline.execute(raise_on_error=False))

    async def indexed(self, topic: str, limit: int) -> list[str]:
        """Return the ids of the newest jobs of an owner's or a tag's topic."""
        with store_errors():
            ids: Any = await self._client.zrevrange(index_key(topic), 0, limit - 1)
        return list(ids)

    async def close(self) -> None:
        """Close the connections; the reader opens new ones if it is used again."""
        await self._client.aclose()

    async def _read_wanted(self) -> None:
        async with self._one_at_a_time:
            wanted, self._wanted = self._wanted, {}
            await self._answer(wanted)

    async def _answer(self, wanted: dict[str, asyncio.Future[Outcome]]) -> None:
        ids = list(wanted)
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            try:
                found = await self.read_all(batch)
            except StoreUnavailable as error:
                for job_id in ids[start:]:
                    wanted[job_id].set_exception(error)
                return
            for job_id, outcome in zip(batch, found, strict=True):
                wanted[job_id].set_result(outcome)


def async_reader() -> AsyncReader:
    """Return the reader of the running event loop."""
    loop = asyncio.get_running_loop()
    readers = _readers()
    if loop not in readers:
        readers[loop] = AsyncReader()
    return readers[loop]


@per_process(reset_on="JOBS")
def _readers() -> WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncReader]:
    return WeakKeyDictionary()
