"""What follows a transition on the server's side, in order: the push has gone out, then the archive, then the signal.

None of it can fail the task whose job it is about.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DataError, IntegrityError, connections, transaction

from . import signals
from .backlog import archive_backlog
from .conf import jobs_settings
from .logs import get_logger
from .models import JobRecord
from .record import Record

logger = get_logger("jobs.announce")

TIMEOUT = 3.0  # seconds that an announcement made inside an event loop, or into a locked SQLite file, may take


def archive(record: Record) -> bool:
    """Write an ended job to the database; says whether it is there, and logs why not."""
    if not jobs_settings().ARCHIVE:
        return False
    try:
        _outside_of_loops(lambda: _store(record))
    except Exception:
        logger.exception("job %s: could not be archived; whoever next has it in hand will try again", record.id)
        return False
    return True


def find_archived(job_id: str) -> Record | None:
    """Return an ended job as the archive has it; None if it has not, or cannot be asked."""
    if not jobs_settings().ARCHIVE:
        return None
    try:
        archived: JobRecord | None = _outside_of_loops(lambda: JobRecord.objects.filter(pk=job_id).first())
    except Exception:
        logger.exception("job %s: the archive could not be read", job_id)
        return None
    return archived.to_record() if archived else None


def send_signal(signal: Any, job: Any) -> None:
    """Tell the server-side listeners; what they raise is logged."""
    if not signal.receivers:
        return
    for receiver, error in _outside_of_loops(lambda: signal.send_robust(sender=type(job), job=job)):
        if isinstance(error, Exception):
            logger.error("job %s: %r failed", job.id, receiver, exc_info=error)


def announce_ended(job: Any) -> None:
    """Archive a job that has just ended, later if the database does not take it now, and tell the listeners."""
    if not archive(job.record) and jobs_settings().ARCHIVE and not connections[DEFAULT_DB_ALIAS].in_atomic_block:
        archive_backlog().add(partial(_then_disconnect, partial(_store_late, job.record)))
    send_signal(signals.job_ended, job)


def _store(record: Record) -> None:
    with _bounded_transaction():
        JobRecord.objects.store(record)


def _store_late(record: Record) -> None:
    try:
        _store(record)
    except (DataError, IntegrityError):  # the database will never take this one, and others wait behind it
        logger.exception("job %s: cannot be archived", record.id)


def _bounded_transaction() -> AbstractContextManager[None]:
    """Wait for a lock no longer than `TIMEOUT`: SQLite's is the whole file, PostgreSQL's may be a migration's.

    Inside the task's own transaction it is a savepoint, and its waits are the task's own.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    bounded = None if connection.in_atomic_block else _BOUNDED.get(connection.vendor)
    return bounded(connection) if bounded else transaction.atomic()


@contextmanager
def _bounded_by_sqlite(connection: Any) -> Iterator[None]:
    usual = connection.settings_dict["OPTIONS"].get("timeout", 5)
    _set_busy_timeout(connection, min(TIMEOUT, usual))
    try:
        with transaction.atomic():
            yield
    finally:
        _set_busy_timeout(connection, usual)


@contextmanager
def _bounded_by_postgresql(connection: Any) -> Iterator[None]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(TIMEOUT * 1000)}")
        yield


_BOUNDED = {"sqlite": _bounded_by_sqlite, "postgresql": _bounded_by_postgresql}


def _set_busy_timeout(connection: Any, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def _outside_of_loops(action: Callable[[], Any]) -> Any:
    """Run it here, or in a thread of its own when an event loop runs here, where Django refuses the database."""
    if not _is_in_a_loop():
        return action()
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(_then_disconnect, action).result(TIMEOUT)


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _then_disconnect(action: Callable[[], Any]) -> Any:
    try:
        return action()
    finally:
        connections.close_all()
