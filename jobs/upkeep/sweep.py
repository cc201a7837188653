"""Enforces deadlines when no page is open, and archives jobs that the database did not take.

Nothing depends on a sweep, because every reader of a job does both. It reads the list of all jobs
page by page, the oldest first, and removes those that need no second look. Two sweeps may run at
once. What one misses, the next one finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.archive.database_time import database_time
from jobs.archive.writer import archive
from jobs.conf import jobs_settings
from jobs.core.clock import to_datetime
from jobs.job import Job
from jobs.models import JobRecord
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.store import indexes, statuses

PAGE_SIZE = 500  # jobs read in one round trip
COLUMNS = ("pk", "state", "ended_at", "claimed_at")


@dataclass(slots=True)
class Swept:
    """How many jobs a sweep has met."""

    alive: int = 0
    ended: int = 0  # by the sweep, because their deadline had passed
    archived: int = 0  # had ended earlier, but were not in the archive yet
    unarchived: int = 0  # the database did not take them


def sweep() -> Swept:
    """Visit every job of the list once, and count.

    Raises `StoreUnavailable`, and `DatabaseError` if the archive cannot be read.
    """
    swept = Swept()
    start = 0
    while ids := indexes.all_ids(start, PAGE_SIZE):
        kept = _sweep_page(ids, swept)
        indexes.remove_from_all([job_id for job_id in ids if job_id not in kept])
        start += len(kept)
    return swept


def _sweep_page(ids: Sequence[str], swept: Swept) -> set[str]:
    """Return the ids that the next sweep has to visit again."""
    found = dict(zip(ids, statuses.statuses(ids), strict=True))
    alive = {
        job_id for job_id, status in found.items() if status.is_alive and not status.is_overdue
    }
    others = [job_id for job_id, status in found.items() if status.state and job_id not in alive]
    jobs = JobRepository().read_all(others)
    for job in jobs:
        if job.is_overdue:
            job.stored.settle()
            swept.ended += job.is_ended
    alive |= {job.id for job in jobs if not job.is_ended}
    swept.alive += len(alive)
    return alive | _archive_missing([job for job in jobs if job.is_ended and job.ended_at], swept)


def _archive_missing(ended: Sequence[Job], swept: Swept) -> set[str]:
    """Archive what is missing; return the ids that failed, or that may still come back to life."""
    missing = _not_archived(ended) if ended and jobs_settings().ARCHIVE else []
    failed = {job.id for job in missing if not archive(job.record)}
    swept.archived += len(missing) - len(failed)
    swept.unarchived += len(failed)
    return failed | {job.id for job in ended if _may_come_back(job)}


def _may_come_back(job: Job) -> bool:
    return job.state is JobState.LOST and not job.record.claimed_at


def _not_archived(ended: Sequence[Job]) -> list[Job]:
    rows = JobRecord.objects.filter(pk__in=[job.id for job in ended]).values_list(*COLUMNS)
    archived = {pk: (state, ended_at, claimed_at) for pk, state, ended_at, claimed_at in rows}
    return [job for job in ended if not _is_archived(job, archived.get(job.id))]


def _is_archived(job: Job, row: tuple[object, ...] | None) -> bool:
    """Return whether the row has this outcome, or one that can no longer change."""
    if row is None:
        return False
    state, ended_at, claimed_at = row
    outcome = (job.state, database_time(to_datetime(job.record.ended_at)))
    return claimed_at is not None or (state, ended_at) == outcome
