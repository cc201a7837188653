"""Writes how far a task is, at most `PROGRESS_PER_SECOND` times a second.

The last call is always written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.db import connections

from jobs.conf import jobs_settings
from jobs.core import transitions
from jobs.core.clock import VERSION_TO_COME
from jobs.core.snapshot import Progress, progress_of
from jobs.core.text import clean, number
from jobs.exceptions import JobCancelled, JobError, StoreUnavailable
from jobs.logs import get_logger
from jobs.runtime.throttle import Throttle

from .stored_record import StoredRecord

logger = get_logger(__name__)

OUTAGE_PAUSE = 2.0  # seconds without progress writes after the store did not take one


class ProgressWriter:
    """Writes the progress of one job."""

    def __init__(self, stored: StoredRecord) -> None:
        self._stored = stored
        self._pending = stored.pending
        self._stop: JobError | JobCancelled | None = None  # for the next call to raise

    @property
    def now(self) -> Progress:
        """How far the task is, with what the store may hear a moment later."""
        job = self._stored.job
        return progress_of(job.record if job.is_ended else self._pending.progress_upon(job.record))

    def set(self, current: float, total: float | None, message: object) -> None:
        """Say how far the task is."""
        note = clean(message)  # in the task's own language
        self._say(lambda: {"current": current, "total": total, "note": note})

    def increment(self, amount: float, message: object) -> None:
        """Move the progress on; total and (unless given) message stay."""
        step = number(amount, least=-VERSION_TO_COME) or 0
        text = None if message is None else clean(message)

        def move_on() -> dict[str, Any]:
            known = self._pending.progress_upon(self._stored.job.record)
            note = known.note if text is None else text
            return {"current": known.current + step, "total": known.total, "note": note}

        self._say(move_on)

    def stop(self) -> None:
        """Forget a call that waits for its turn."""
        if "_throttle" in self.__dict__:  # else there was no call yet
            self._throttle.stop()

    @cached_property
    def _throttle(self) -> Throttle:
        return Throttle(jobs_settings().PROGRESS_PER_SECOND, self._write, self._write_later)

    def _say(self, decide: Callable[[], dict[str, Any]]) -> None:
        self._stored.require_stored()
        if self._stop is not None:
            # without the traceback, which grows with each call of a task that catches it
            raise self._stop.with_traceback(None)
        with self._stored.lock:
            self._pending.progress = decide()
            write = self._throttle
        write()

    def _write(self) -> None:
        stored = self._stored
        try:
            stored.apply(transitions.progress(stored.is_held, self._pending.upon))
        except StoreUnavailable:
            self._throttle.pause(OUTAGE_PAUSE)
            logger.warning("job %s: progress not written", stored.job.id, exc_info=True)

    def _write_later(self) -> None:
        try:
            self._write()
        except (JobError, JobCancelled) as error:
            self._stop = error
        finally:
            connections.close_all()  # the timer's thread ends here; nobody else could close them
