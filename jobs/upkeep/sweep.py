"""Enforces deadlines with no page open, and archives what ended while the database was away.

Nothing needs it: whoever reads a job does both. It walks the list of all jobs, a page at a time and the oldest first,
and takes off the list what needs no second look. Two may run at once; what one misses the next one finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.archive.database_time import database_time
from jobs.archive.writer import archive
from jobs.conf import jobs_settings
from jobs.core.clock import to_datetime
from jobs.job import Job
from jobs.models import JobRecord
from jobs.states import JobState
from jobs.store import indexes, records
from jobs.store.statuses import statuses

PAGE = 500  # jobs read in one round trip
COLUMNS = ("pk", "state", "ended_at", "claimed_at")


@dataclass(slots=True)
class Swept:
    """What a sweep has met: jobs."""

    alive: int = 0
    ended: int = 0  # by the sweep, because their deadline had passed
    archived: int = 0  # which had ended earlier, and had not reached the archive
    unarchived: int = 0  # which the database does not take


def sweep() -> Swept:
    """Look at every job of the list once; raises `StoreUnavailable`, and `DatabaseError` if there is no archive."""
    swept = Swept()
    start = 0
    while ids := indexes.all_ids(start, PAGE):
        kept = _sweep_page(ids, swept)
        indexes.remove_from_all([job_id for job_id in ids if job_id not in kept])
        start += len(kept)
    return swept


def alive_jobs(look: int, limit: int) -> list[Job]:
    """Return the newest jobs that are alive, at most so many, among so many of the list; three round trips."""
    ids = indexes.indexed(indexes.ALL, look)
    alive = [job_id for job_id, glance in zip(ids, statuses(ids), strict=True) if glance.is_alive]
    jobs = _read(alive[:limit])
    for job in jobs:
        job.stored.settle()
    return [job for job in jobs if not job.is_ended]


def _sweep_page(ids: Sequence[str], swept: Swept) -> set[str]:
    """Return those that have to be looked at again another time."""
    seen = dict(zip(ids, statuses(ids), strict=True))
    alive = {
        job_id for job_id, glance in seen.items() if glance.is_alive and not glance.is_overdue
    }
    jobs = _read(
        [job_id for job_id, glance in seen.items() if glance.state and job_id not in alive]
    )
    for job in jobs:
        if job.is_overdue:
            job.stored.settle()
            swept.ended += job.is_ended
    alive |= {job.id for job in jobs if not job.is_ended}
    swept.alive += len(alive)
    return alive | _archive_missing([job for job in jobs if job.is_ended and job.ended_at], swept)


def _read(ids: Sequence[str]) -> list[Job]:
    outcomes = records.read_all(ids) if ids else []
    return [Job(outcome.record, outcome.now) for outcome in outcomes if outcome.record is not None]


def _archive_missing(ended: Sequence[Job], swept: Swept) -> set[str]:
    missing = _not_archived(ended) if ended and jobs_settings().ARCHIVE else []
    failed = {job.id for job in missing if not archive(job.record)}
    swept.archived += len(missing) - len(failed)
    swept.unarchived += len(failed)
    may_come_back = {
        job.id for job in ended if job.state is JobState.LOST and not job.record.claimed_at
    }
    return failed | may_come_back


def _not_archived(ended: Sequence[Job]) -> list[Job]:
    rows = JobRecord.objects.filter(pk__in=[job.id for job in ended])
    archived = {
        pk: (state, ended_at, claimed_at)
        for pk, state, ended_at, claimed_at in rows.values_list(*COLUMNS)
    }
    return [job for job in ended if not _is_same_outcome(job, archived.get(job.id))]


def _is_same_outcome(job: Job, archived: tuple[object, ...] | None) -> bool:
    if archived is None:
        return False
    state, ended_at, claimed_at = archived
    outcome = (job.state, database_time(to_datetime(job.record.ended_at)))
    return claimed_at is not None or (state, ended_at) == outcome
