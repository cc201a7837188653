"""Read the jobs of a subscription: one job by its id, or all that a topic lists."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from jobs.access import Viewer
from jobs.job import Job
from jobs.repository import JobRepository, settled
from jobs.runtime.threads import in_archive_thread
from jobs.store.reader import async_reader
from jobs.store.records import Outcome

from .sent_versions import SentVersions

LIST_BATCH = 25  # jobs; parsing their replies keeps the event loop for 1 or 2 ms
FIRST_JOBS = 100  # the newest jobs of a topic, with which a subscription starts


async def read_job(job_id: str, sent: SentVersions) -> Job:
    """Find a job. Raises `JobNotFound`, `StoreUnavailable`.

    A job that is older than what the page was sent comes from a Redis that was restored from a
    backup. Then the archive is asked too.
    """
    job = await JobRepository().afind(job_id)
    if job.version < sent.version(job.id):
        with suppress(TimeoutError):
            await in_archive_thread(job.stored.trust_archive)
    return job


async def read_listed(
    topics: Sequence[str], alive: Sequence[str], viewer: Viewer
) -> tuple[list[Job], int]:
    """Return the jobs of the topics that the viewer may see, oldest first, and how many were read.

    These are the jobs that are alive or unclaimed. The jobs that were `alive` when the page last
    got a frame of them are always included: if the push of an end was lost, the job may have been
    claimed elsewhere since.
    """
    found: dict[str, Job] = {}
    read = 1
    for topic in topics:
        indexed = await async_reader().indexed(topic, FIRST_JOBS)
        ids = list(dict.fromkeys([*indexed, *alive]))
        read += len(ids)
        for outcome in await _read_in_batches(ids):
            record = outcome.record
            if record is not None and (not record.claimed_at or record.id in alive):
                job = Job(record, outcome.now)
                if topic in job.topics and viewer.may_see(job):
                    found[job.id] = job
    await asyncio.gather(*(settled(job) for job in found.values() if job.is_overdue))
    return sorted(found.values(), key=lambda job: job.record.created_at), read


async def _read_in_batches(ids: Sequence[str]) -> list[Outcome]:
    """Read jobs so that the server's other sockets have their turn between two batches."""
    outcomes: list[Outcome] = []
    for start in range(0, len(ids), LIST_BATCH):
        outcomes += await async_reader().read_all(ids[start : start + LIST_BATCH])
    return outcomes
