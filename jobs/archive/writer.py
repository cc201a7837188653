"""Writes ended jobs to the database and finds them there, each within a few seconds."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from math import inf
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

QUERY_TIMEOUT = 3.0  # seconds; SQLite, for example, locks its whole file
STALL_PAUSE = 1.0  # seconds without another write after the database made us wait in vain


class _Stall:
    """When the database last made us wait in vain, by this process's monotonic clock."""

    at = -inf


def archive(record: Record) -> bool:
    """Write an ended job to the database. Return whether it is there; log why it is not.

    After a write that waited in vain, no write is tried for `STALL_PAUSE` seconds. Jobs that end
    together therefore wait only once.
    """
    if not jobs_settings().ARCHIVE or monotonic() - _Stall.at < STALL_PAUSE:
        return False
    began = monotonic()
    try:
        outside_event_loops(partial(archive_now, record), QUERY_TIMEOUT)
    except Exception:
        if monotonic() - began > STALL_PAUSE:
            _Stall.at = monotonic()
        logger.exception("job %s: could not be archived; its next reader retries", record.id)
        return False
    return True


def archive_now(record: Record) -> None:
    """Write an ended job to the database, within `QUERY_TIMEOUT` seconds.

    Raises `DatabaseError`, and `ValueError` if the job has not ended.
    """
    with _bounded_transaction():
        JobRecord.objects.store(record)


def find_claimed(job_id: str) -> Record | None:
    """Return the archived job if it has been claimed; first wait for a claim in progress.

    Raises `StoreUnavailable` if the database does not answer in time.
    """
    if not jobs_settings().ARCHIVE:
        return None
    try:
        claimed: JobRecord | None = outside_event_loops(partial(_claimed, job_id), QUERY_TIMEOUT)
    except Exception as error:
        text = f"The archive does not say whether job {job_id} has been claimed: {error}"
        raise StoreUnavailable(text) from error
    return claimed.to_record() if claimed else None


def _claimed(job_id: str) -> JobRecord | None:
    with _bounded_transaction():
        return JobRecord.objects.claimed(job_id)


def find_archived(job_id: str) -> Record | None:
    """Return an archived job, or None if the archive does not have it.

    Raises `StoreUnavailable` if the database does not answer in time.
    """
    if not jobs_settings().ARCHIVE:
        return None
    try:
        archived: JobRecord | None = outside_event_loops(
            JobRecord.objects.filter(pk=job_id).first, QUERY_TIMEOUT
        )
    except Exception as error:
        logger.exception("job %s: the archive could not be read", job_id)
        raise StoreUnavailable(f"Job {job_id} could not be read from the archive.") from error
    return archived.to_record() if archived else None


def archive_later(record: Record) -> None:
    """Let another thread write an ended job to the database, and retry until it succeeds."""
    archive_backlog().add(partial(then_disconnect, partial(_archive_late, record)))


def is_in_transaction() -> bool:
    """Return whether a transaction is open on the archive's database."""
    return bool(_connection().in_atomic_block)


def archive_alias() -> str:
    """Return the alias of the archive's database; a router may have chosen another one."""
    return router.db_for_write(JobRecord)


def _connection() -> Any:
    return connections[archive_alias()]


def _archive_late(record: Record) -> None:
    try:
        archive_now(record)
    except (DataError, IntegrityError):  # no retry would help, and other jobs wait behind it
        logger.exception("job %s: the database refuses to archive it", record.id)


def _bounded_transaction() -> AbstractContextManager[None]:
    """Open a transaction that waits for a lock no longer than `QUERY_TIMEOUT`.

    In SQLite any writer locks the whole file; in PostgreSQL a migration may lock the table. Inside
    the task's own transaction this is a savepoint, and the task's own timeouts hold.
    """
    connection = _connection()
    bounded = None if connection.in_atomic_block else _BOUNDED.get(connection.vendor)
    return bounded(connection) if bounded else transaction.atomic(connection.alias)


@contextmanager
def _bounded_by_sqlite(connection: Any) -> Iterator[None]:
    configured = connection.settings_dict["OPTIONS"].get("timeout", 5)
    _set_busy_timeout(connection, min(QUERY_TIMEOUT, configured))
    try:
        with transaction.atomic(connection.alias):
            yield
    finally:
        _set_busy_timeout(connection, configured)


@contextmanager
def _bounded_by_postgresql(connection: Any) -> Iterator[None]:
    with transaction.atomic(connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(QUERY_TIMEOUT * 1000)}")
        yield


_BOUNDED = {"sqlite": _bounded_by_sqlite, "postgresql": _bounded_by_postgresql}


def _set_busy_timeout(connection: Any, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
