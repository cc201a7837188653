"""Writes ended jobs to the database, and finds them there; each within a few seconds."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import monotonic
from typing import Any

from django.db import DataError, IntegrityError, connections, router, transaction

from jobs.conf import jobs_settings
from jobs.core.record import Record
from jobs.exceptions import StoreUnavailable
from jobs.logs import get_logger
from jobs.models import JobRecord
from jobs.runtime.backlog import archive_backlog
from jobs.runtime.event_loops import outside_event_loops, then_disconnect

logger = get_logger(__name__)

RESPITE = 1.0  # seconds without another try after the database did not take a row in time
TIMEOUT = 3.0  # seconds that a query may take: SQLite locks its whole file


class _Hang:
    """When the database last kept us waiting for nothing, by this process's monotonic clock."""

    at = -RESPITE


def archive(record: Record) -> bool:
    """Write an ended job to the database; says whether it is there, and logs why not.

    After it has waited in vain, the database is not asked again for `RESPITE` seconds: many jobs that end at once
    wait for it once.
    """
    if not jobs_settings().ARCHIVE or monotonic() - _Hang.at < RESPITE:
        return False
    began = monotonic()
    try:
        outside_event_loops(partial(archive_now, record), TIMEOUT)
    except Exception:
        if monotonic() - began > RESPITE:
            _Hang.at = monotonic()
        logger.exception("job %s: could not be archived; its next reader tries again", record.id)
        return False
    return True


def archive_now(record: Record) -> None:
    """Write an ended job to the database, within `TIMEOUT` seconds; raises `DatabaseError`, and `ValueError`."""
    with _bounded_transaction():
        JobRecord.objects.store(record)


def find_claimed(job_id: str) -> Record | None:
    """Return the job as the archive has it, if it has been claimed; waits for a claim that is under way.

    Raises `StoreUnavailable` if the database does not answer in time.
    """
    if not jobs_settings().ARCHIVE:
        return None
    try:
        claimed: JobRecord | None = outside_event_loops(partial(_claimed, job_id), TIMEOUT)
    except Exception as error:
        text = f"The archive does not answer whether job {job_id} has been claimed: {error}"
        raise StoreUnavailable(text) from error
    return claimed.to_record() if claimed else None


def _claimed(job_id: str) -> JobRecord | None:
    with _bounded_transaction():
        return JobRecord.objects.claimed(job_id)


def find_archived(job_id: str) -> Record | None:
    """Return an ended job as the archive has it, or None if it has no such job.

    Raises `StoreUnavailable` if the database cannot be asked.
    """
    if not jobs_settings().ARCHIVE:
        return None
    try:
        archived: JobRecord | None = outside_event_loops(
            JobRecord.objects.filter(pk=job_id).first, TIMEOUT
        )
    except Exception as error:
        logger.exception("job %s: the archive could not be read", job_id)
        raise StoreUnavailable(f"The archive cannot be asked for job {job_id}.") from error
    return archived.to_record() if archived else None


def archive_later(record: Record) -> None:
    """Have another thread write an ended job to the database, until the database takes it."""
    archive_backlog().add(partial(then_disconnect, partial(_archive_late, record)))


def is_in_transaction() -> bool:
    """Return whether a transaction of the archive's database is open here."""
    return bool(_connection().in_atomic_block)


def archive_alias() -> str:
    """Name the database that holds the archive; a router may have given it one of its own."""
    return router.db_for_write(JobRecord)


def _connection() -> Any:
    return connections[archive_alias()]


def _archive_late(record: Record) -> None:
    try:
        archive_now(record)
    except (
        DataError,
        IntegrityError,
    ):  # the database will never take this one, and others wait behind it
        logger.exception("job %s: cannot be archived", record.id)


def _bounded_transaction() -> AbstractContextManager[None]:
    """Wait for a lock no longer than `TIMEOUT`: SQLite's is the whole file, PostgreSQL's may be a migration's.

    Inside the task's own transaction it is a savepoint, and its waits are the task's own.
    """
    connection = _connection()
    bounded = None if connection.in_atomic_block else _BOUNDED.get(connection.vendor)
    return bounded(connection) if bounded else transaction.atomic(connection.alias)


@contextmanager
def _bounded_by_sqlite(connection: Any) -> Iterator[None]:
    usual = connection.settings_dict["OPTIONS"].get("timeout", 5)
    _set_busy_timeout(connection, min(TIMEOUT, usual))
    try:
        with transaction.atomic(connection.alias):
            yield
    finally:
        _set_busy_timeout(connection, usual)


@contextmanager
def _bounded_by_postgresql(connection: Any) -> Iterator[None]:
    with transaction.atomic(connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(TIMEOUT * 1000)}")
        yield


_BOUNDED = {"sqlite": _bounded_by_sqlite, "postgresql": _bounded_by_postgresql}


def _set_busy_timeout(connection: Any, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
