"""A job in the hands of its task's process: data and progress, and what of them the store has not heard yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.db import connections

from . import events
from .backlog import backlog_for
from .conf import jobs_settings
from .data import JobData, Unsaved, check_size
from .exceptions import JobCancelled, JobEnded, JobError, StoreUnavailable
from .known import Progress, progress_of
from .logs import get_logger
from .record import Record
from .states import JobState
from .store import Change
from .stored import Decision, StoredJob
from .throttle import Throttle

logger = get_logger("jobs.job")

OUTAGE_PAUSE = 2.0  # seconds without progress writes after the store did not take one


class WorkingJob(StoredJob):
    """A job that can be told how far its task is, and what it has found out."""

    def __init__(self, record: Record, now: int = 0) -> None:
        super().__init__(record, now)
        self._progress: dict[str, Any] = {}  # not yet written
        self._unsaved = Unsaved()
        self._stop: JobError | JobCancelled | None = None  # to be raised by the next progress call

    @cached_property
    def data(self) -> JobData:
        """The metadata; what is assigned to a key is saved at once."""
        return JobData(lambda: self._unsaved.upon(self.record.data), self._write_data)

    @property
    def progress(self) -> Progress:
        """How far the job has come, with what this process has said last and the store may hear a moment later."""
        return progress_of(self.record if self.is_ended else self._with_progress(self.record))

    def set_progress(self, current: float, total: float | None = None, message: object = "") -> None:
        """Say how far the task is; here a cancel takes effect, as `JobCancelled`.

        At most `PROGRESS_PER_SECOND` calls are written and pushed, the last one always. Rubbish for a number counts
        as 0 or as no total, and a store that does not answer is logged: neither fails the task. Several threads of
        the task may call it.
        """
        text = clean(message)  # in the task's own language
        self._say(lambda: {"current": current, "total": total, "note": text})

    def increment_progress(self, amount: float = 1, message: object = None) -> None:
        """Move the progress on by an amount; total and (unless given) message stay.

        Several threads of the task may call it, and every call counts.
        """
        step = number(amount, least=-events.VERSION_TO_COME) or 0
        text = None if message is None else clean(message)

        def move_on() -> dict[str, Any]:
            known = self._with_progress(self.record)
            note = known.note if text is None else text
            return {"current": known.current + step, "total": known.total, "note": note}

        self._say(move_on)

    def _say(self, decide: Callable[[], dict[str, Any]]) -> None:
        self._require_stored()
        if self._stop is not None:
            raise self._stop.with_traceback(None)  # or it would grow with each call of a task that catches it
        with self._lock:
            self._progress = decide()
            write = self._throttle
        write()

    @cached_property
    def _throttle(self) -> Throttle:
        return Throttle(jobs_settings().PROGRESS_PER_SECOND, self._write_progress, self._write_progress_later)

    def _forget_late_progress(self) -> None:
        if "_throttle" in self.__dict__:  # else there was no progress yet, and there is no need of one
            self._throttle.stop()

    def _write_progress(self) -> None:
        def decide(record: Record) -> Decision:
            record = self._living(record)
            if record.cancel_asked:
                stop = JobEnded if self._attempt_held is None else JobCancelled
                raise stop(f"Job {self.id} was asked to stop.")
            deadline = jobs_settings().LOST_AFTER if record.state is JobState.RUNNING else None
            return self._with_unsaved(record), Change(deadline=deadline, is_repeatable=True)

        try:
            self._apply(decide, events.PROGRESS)
        except StoreUnavailable:
            self._throttle.pause(OUTAGE_PAUSE)
            logger.warning("job %s: progress not written", self.id, exc_info=True)

    def _write_progress_later(self) -> None:
        try:
            self._write_progress()
        except (JobError, JobCancelled) as error:
            self._stop = error
        finally:
            connections.close_all()  # the timer's thread ends here, and nobody else could close them

    def _write_data(self, key: str, text: str | None) -> None:
        def decide(record: Record) -> Decision:
            record = self._living(record)
            data = Unsaved({**self._unsaved, key: text}).upon(record.data)
            if text is not None:
                check_size(data, jobs_settings().MAX_DATA)
            return record.replace(data=data), Change(is_repeatable=True)

        if self.is_draft:
            self.record, _change = decide(self.record)
            return
        try:
            self._apply(decide)
        except StoreUnavailable as problem:
            if self._attempt_held is None:
                raise
            self._keep_data(key, text, problem)

    def _keep_data(self, key: str, text: str | None, problem: StoreUnavailable) -> None:
        """Keep what our own work has found out until the store takes it; the job's next write takes it along."""
        logger.warning("job %s: data[%r] is kept for later: %s", self.id, key, problem)
        with self._lock:
            if not self._unsaved:
                backlog_for(problem).add(self._save_data)
            self._unsaved[key] = text

    def _save_data(self) -> None:
        with self._lock:
            if self._unsaved and not self.is_ended:
                change = Change(is_repeatable=True)
                self._apply(lambda record: (self._with_unsaved(self._living(record)), change))

    def _with_progress(self, record: Record) -> Record:
        if not (given := self._progress):
            return record
        total = number(given["total"])
        return record.replace(
            current=number(given["current"]) or 0, total=total or None, note=events.cut(given["note"], "note")
        )

    def _with_unsaved(self, record: Record) -> Record:
        if self._unsaved:
            record = record.replace(data=self._unsaved.upon(record.data))
        return self._with_progress(record)

    def _write(self, new: Record, change: Change, event: str, mark: str = "") -> bool:
        progress = self._progress
        written = super()._write(new, change, event, mark)
        if written:
            if self._progress is progress and self._with_progress(new) == new:  # not one that only wrote data, say
                self._progress = {}
            if self._unsaved.upon(new.data) == new.data:
                self._unsaved.clear()
        return written


def number(value: object, least: float = 0) -> float | None:
    """Return a number that can be stored, or None for what is none."""
    if isinstance(value, int | float) and least <= value < events.VERSION_TO_COME:  # false for NaN and infinity too
        return int(value) if isinstance(value, int) else float(value)  # True is one, and so are a library's numbers
    return None


def clean(text: object) -> str:
    """Return any object's text as it can be stored; "" if it has none."""
    try:
        return str(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    except Exception:
        logger.exception("a text for a job cannot be read")
        return ""
