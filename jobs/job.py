"""One job: what is known of it, and the verbs that move it through its life.

A verb is one atomic transition. The version that we have read goes along with what we write; if somebody else has
written meanwhile, nothing happens, we look again and decide anew. So a pushed frame is always the stored job, and the
first end wins.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from . import events, indexes, publisher, signals, store
from .announce import announce_ended, archive, find_archived, send_signal
from .backlog import backlog
from .conf import jobs_settings
from .data import JobData, Unsaved, check_size
from .exceptions import JobCancelled, JobEnded, JobError, JobExists, JobNotFound, StoreUnavailable
from .handlers import JobHandler, find_handler
from .known import KnownJob, Progress, progress_of
from .record import Record
from .states import JobState
from .store import Change, Outcome
from .throttle import Throttle

logger = logging.getLogger("jobs.job")

MAX_TRIES = 1000  # each failed one means that another writer has succeeded
OUTAGE_PAUSE = 2.0  # seconds without progress writes after the store did not take one

Decision = tuple[Record, Change]


class _Leased(Exception):
    """Somebody else holds the lease."""


class Job(KnownJob):
    """A job as it was when it was read; `refresh()` reads it again, and every verb brings it up to date.

    Verbs raise `JobEnded` once the job has ended, `JobNotFound` for one that is not stored (yet), `StoreUnavailable`
    when Redis does not answer within some seconds.
    """

    def __init__(self, record: Record, now: int = 0) -> None:
        super().__init__(record, now)
        self.data = JobData(lambda: self._unsaved.upon(self.record.data), self._write_data)
        self.is_draft = False
        self._attempt_held: int | None = None  # the attempt that this process is working on, if it is
        self._lock = threading.RLock()
        self._progress: dict[str, Any] = {}  # not yet written
        self._unsaved = Unsaved()
        self._stop: JobError | None = None  # to be raised by the next progress call

    @cached_property
    def handler(self) -> JobHandler:
        """The handler; raises `HandlerNotFound` if its class is no longer there."""
        return find_handler(self.record.handler_class)(self)

    @property
    def progress(self) -> Progress:
        """How far the job has come, with what this process has said last and the store may hear a moment later."""
        return progress_of(self.record if self.is_ended else self._with_progress(self.record))

    def refresh(self) -> Job:
        """Read the job again, with its deadline enforced, from the archive if Redis has lost it.

        Raises `JobNotFound`, `StoreUnavailable`.
        """
        outcome = store.read(self.id)
        if outcome.record is not None and not self._is_newer_than(outcome):
            self._know(outcome.record, outcome.now)
            self.settle()
        elif (known := find_archived(self.id) or outcome.record) is not None:
            self._know(known)
        else:
            raise not_found(self.id)
        return self

    def create(self, change: Change) -> None:
        """Store a draft for the first time and push `created`.

        Raises `JobExists`, `StoreUnavailable`; then it remains a draft.
        """
        messages = self._messages(self.record, change, events.CREATED)
        pushes = publisher.prepare(messages)
        outcome = store.create(self.record, change, pushes or ())
        if not outcome.written or outcome.record is None:
            raise exists(self.id)
        self.is_draft = False
        self._know(outcome.record)
        self._send_unless_pushed(pushes, messages)

    def restore(self, found: Outcome | None = None, keep_version: bool = False) -> bool:
        """Write the whole record anew, as its worker or the archive knows it, if Redis has lost it; says if so.

        `found` is what Redis has instead, when it was restored from an old backup. The version grows, so that a page
        takes the record for newer than what it has seen; who may have missed the last changes keeps it, so that the
        process which made them finds that it knows better.
        """
        if (ended := self._ended_meanwhile()) is not None:
            self._know(ended)
        old = found.record if found else None
        is_overdue = old is not None and found is not None and 0 < old.deadline <= found.now
        deadline = jobs_settings().LOST_AFTER if self.state is JobState.RUNNING else 0 if self.is_ended else None
        change = Change(deadline=deadline, overdue=is_overdue, keep_version=keep_version)
        outcome = store.write(old, self.record, change)
        if outcome.record is not None and not self._is_newer_than(outcome):
            self._know(outcome.record, outcome.now)
        if outcome.written:
            indexes.add_to_indexes(self.record)
        return outcome.written

    def believe_archive(self) -> None:
        """Take the archive's word for a job that Redis shows as it was before its end, being an old backup."""
        if not self.is_ended and (ended := self._ended_meanwhile()) is not None:
            self._know(ended)

    def start(self, runner: str = "") -> None:
        """Begin an attempt: pending, retrying or (after a redelivery) running becomes running.

        From here on this process holds the attempt: writes of an earlier one are refused with `JobEnded`. `runner`
        names it, for the worker's parent, which ends the attempt of a process that has died.
        """

        def decide(record: Record) -> Decision:
            self._require(record, JobState.RUNNING)
            attempt = {"attempt": record.attempt + 1, "runner": runner, "current": 0, "total": None, "note": ""}
            new = record.replace(state=JobState.RUNNING, ended_at=0, **attempt)
            return new, Change(stamp="started_at", deadline=jobs_settings().LOST_AFTER)

        self._apply(decide, events.STARTED)
        self._attempt_held = self.record.attempt
        send_signal(signals.job_started, self)

    def retry(self, countdown: float, max_attempts: int | None = None, start_timeout: float | None = None) -> None:
        """Wait for another attempt, due in so many seconds; this process gives its attempt up."""
        seconds = jobs_settings().START_TIMEOUT if start_timeout is None else start_timeout

        def decide(record: Record) -> Decision:
            self._require(record, JobState.RETRYING)
            due = self.now + int(countdown * 1_000_000)
            new = self._with_unsaved(record).replace(
                state=JobState.RETRYING, runner="", retry_at=due, max_attempts=max_attempts or 0, error="", ended_at=0
            )
            return new, Change(deadline=countdown + seconds)

        with self._lock:
            self._forget_late_progress()
            self._apply(decide, events.RETRYING)
            self._attempt_held = None

    def complete(self) -> None:
        """End the job well: on commit inside a transaction of the default database, else at once."""
        self._end_on_commit(JobState.COMPLETE)

    def fail(self, error: str = "") -> None:
        """End the job badly, with a text for its owner: on commit inside a transaction, else at once."""
        self._end_on_commit(JobState.FAILED, error)

    def cancel(self) -> None:
        """Stop the job: at once if no worker has it, else at its next progress call. Harmless when repeated.

        Raises `JobEnded` if it ended in another way.
        """

        def decide(record: Record) -> Decision:
            if record.state is JobState.RUNNING:
                return record.replace(cancel_asked=True), Change()
            self._require(record, JobState.CANCELLED)
            return record.replace(state=JobState.CANCELLED), Change(stamp="ended_at", deadline=0)

        if self.state is JobState.CANCELLED:
            return
        self._apply(decide, lambda new: events.CANCELLED if new.state.is_ended else "")
        if self.is_ended:
            announce_ended(self)

    def end(self, state: JobState, error: str = "") -> None:
        """End the job now, whatever transaction is open; raises `JobEnded` if it has ended before."""

        def decide(record: Record) -> Decision:
            self._require(record, state)
            new = self._with_unsaved(record).replace(state=state, error=_clean(error) if error else "")
            return new, Change(stamp="ended_at", deadline=0)

        with self._lock:
            self._forget_late_progress()
            try:
                self._apply(decide, events.OF_STATE[state])
            except StoreUnavailable:
                if self._attempt_held is None:
                    raise
                self._end_without_store(decide, events.OF_STATE[state])
                return
        announce_ended(self)

    def lease(self, seconds: float) -> bool:
        """Keep everybody else from claiming this ended job for a while; says whether we got it.

        Raises `JobEnded` if it is not there to be claimed: not ended yet, or claimed already.
        """

        def decide(record: Record) -> Decision:
            if not record.state.is_ended or record.claimed_at:
                raise JobEnded(
                    f"Job {record.id} cannot be claimed: it is {'claimed' if record.claimed_at else record.state}."
                )
            if record.leased_until > self.now:
                raise _Leased
            return record.replace(leased_until=self.now + int(seconds * 1_000_000)), Change()

        try:
            self._apply(decide)
        except _Leased:
            return False
        return True

    def release(self) -> None:
        """Give the lease back, because the claim did not work out."""
        self._apply(lambda record: (record.replace(leased_until=0), Change()))

    def mark_claimed(self, url: str) -> None:
        """Remember where the owner was sent; from here on nothing can change the outcome."""
        self._apply(lambda record: (record.replace(claimed_at=self.now, claimed_url=url, leased_until=0), Change()))

    def settle(self) -> None:
        """End a job whose deadline has passed, as expired or lost; whoever reads it first does this. Idempotent."""
        with self._lock:
            while self.is_overdue:
                state = JobState.LOST if self.state is JobState.RUNNING else JobState.EXPIRED
                new = self._ended_meanwhile() or self.record.replace(state=state)
                change = Change(stamp="" if new.ended_at else "ended_at", deadline=0, overdue=True)
                if self._write(new, change, events.OF_STATE[new.state]):
                    announce_ended(self)

    def start_part(self) -> None:
        """Begin a part of a canvas; the first starts the job. Raises `JobEnded` or `JobCancelled` if it is over."""

        def decide(record: Record) -> Decision:
            record = self._living(record)
            if record.cancel_asked:
                raise JobCancelled(f"Job {record.id} was asked to stop.")
            started = record.state is JobState.RUNNING
            new = record.replace(state=JobState.RUNNING, attempt=1)
            return new, Change(stamp="" if started else "started_at", deadline=jobs_settings().START_TIMEOUT)

        first = self.state is not JobState.RUNNING
        self._apply(decide, lambda new: events.STARTED if first else "")
        if first:
            send_signal(signals.job_started, self)

    def end_part(self, task_id: str) -> None:
        """Count a part of a canvas that has ended well, once; the last one completes the job."""

        def decide(record: Record) -> Decision:
            parts = self._living(record).parts | {task_id}
            new = record.replace(parts=parts, current=len(parts))
            if len(parts) < (record.total or 0):
                return new, Change(deadline=jobs_settings().START_TIMEOUT)
            return new.replace(state=JobState.COMPLETE), Change(stamp="ended_at", deadline=0)

        self._apply(decide, lambda new: events.READY if new.state.is_ended else events.PROGRESS)
        if self.is_ended:
            announce_ended(self)

    def set_progress(self, current: float, total: float | None = None, message: object = "") -> None:
        """Say how far the task is; here a cancel takes effect, as `JobCancelled`.

        At most `PROGRESS_PER_SECOND` calls are written and pushed, the last one always. Rubbish for a number counts
        as 0 or as no total, and a store that does not answer is logged: neither fails the task.
        """
        self._require_stored()
        if self._stop is not None:
            raise self._stop
        self._progress = {"current": current, "total": total, "note": _clean(message)}  # in the task's own language
        self._throttle()

    def increment_progress(self, amount: float = 1, message: object = None) -> None:
        """Move the progress on by an amount; total and (unless given) message stay."""
        with self._lock:
            known = self._with_progress(self.record)
        step = _number(amount, least=-events.VERSION_TO_COME) or 0
        self.set_progress(known.current + step, known.total, known.note if message is None else message)

    def _end_without_store(self, decide: Callable[[Record], Decision], event: str) -> None:
        """Archive the outcome of our own work, and write it to the store when that answers again."""
        later = Job(self.record, self.now)
        later._attempt_held = self._attempt_held

        def catch_up() -> None:
            later._apply(decide, event)
            announce_ended(later)

        new, _change = decide(self.record)
        self._know(new.replace(version=self.now, ended_at=self.now, deadline=0))
        logger.warning("job %s: %s, but the store does not answer; kept for later", self.id, self.state)
        archive(self.record)
        backlog().add(catch_up)

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
                raise JobCancelled(f"Job {self.id} was asked to stop.")
            deadline = jobs_settings().LOST_AFTER if record.state is JobState.RUNNING else None
            return self._with_unsaved(record), Change(deadline=deadline)

        try:
            self._apply(decide, events.PROGRESS)
        except StoreUnavailable:
            self._throttle.pause(OUTAGE_PAUSE)
            logger.warning("job %s: progress not written", self.id, exc_info=True)

    def _write_progress_later(self) -> None:
        try:
            self._write_progress()
        except JobError as error:
            self._stop = error
        finally:
            connections.close_all()  # the timer's thread ends here, and nobody else could close them

    def _write_data(self, key: str, text: str | None) -> None:
        def decide(record: Record) -> Decision:
            record = self._living(record)
            data = Unsaved({**self._unsaved, key: text}).upon(record.data)
            if text is not None:
                check_size(data, jobs_settings().MAX_DATA)
            return record.replace(data=data), Change()

        if self.is_draft:
            self.record, _change = decide(self.record)
            return
        try:
            self._apply(decide)
        except StoreUnavailable:
            if self._attempt_held is None:
                raise
            self._keep_data(key, text)

    def _keep_data(self, key: str, text: str | None) -> None:
        """Keep what our own work has found out until the store answers; the job's next write takes it along."""
        logger.warning("job %s: the store does not answer; data[%r] is kept for later", self.id, key)
        with self._lock:
            if not self._unsaved:
                backlog().add(self._save_data)
            self._unsaved[key] = text

    def _save_data(self) -> None:
        with self._lock:
            if self._unsaved and not self.is_ended:
                self._apply(lambda record: (self._with_unsaved(self._living(record)), Change()))

    def _end_on_commit(self, state: JobState, error: str = "") -> None:
        if not connections[DEFAULT_DB_ALIAS].in_atomic_block:
            self.end(state, error)
            return
        self._require_stored()
        self._require(self.record, state)
        transaction.on_commit(partial(self._end_late, state, error))

    def _end_late(self, state: JobState, error: str) -> None:
        try:
            self.end(state, error)
        except JobError as problem:
            logger.warning("job %s: %s after the commit was refused: %s", self.id, state, problem)

    def _apply(self, decide: Callable[[Record], Decision], event: str | Callable[[Record], str] = "") -> None:
        """Decide on what is stored, and write it; look again and decide anew as long as others are faster."""
        self._require_stored()
        with self._lock:
            for _try in range(MAX_TRIES):
                self.settle()
                self._require_held()
                new, change = decide(self.record)
                if self._write(new, change, event if isinstance(event, str) else event(new)):
                    return
        raise StoreUnavailable(f"Job {self.id} is being written to by too many at once.")

    def _write(self, new: Record, change: Change, event: str) -> bool:
        progress = self._progress
        messages = self._messages(new, change, event) if event else []
        pushes = publisher.prepare(messages)
        outcome = store.write(self.record, new, change, pushes or ())
        if outcome.record is None or self._is_newer_than(outcome):
            if self._attempt_held is None and self.state is not JobState.LOST:
                raise not_found(self.id)
            self.restore(outcome)
            return False
        self._know(outcome.record, outcome.now)
        if outcome.written:
            if self._progress is progress and self._with_progress(new) == new:  # not one that only wrote data, say
                self._progress = {}
            if self._unsaved.upon(new.data) == new.data:
                self._unsaved.clear()
            self._send_unless_pushed(pushes, messages)
        return outcome.written

    def _ended_meanwhile(self) -> Record | None:
        """Return the end that the archive knows of, if it is later than what we know."""
        archived = find_archived(self.id)
        return archived if archived is not None and archived.version > self.version else None

    def _is_newer_than(self, outcome: Outcome) -> bool:
        """Say whether Redis has less than we know of: it was emptied, or restored from an old backup."""
        return outcome.record is None or outcome.record.version < self.version

    def _send_unless_pushed(self, pushes: object, messages: list[dict[str, str]]) -> None:
        if pushes is None:
            time = events.iso(self.version) or ""
            publisher.send([events.stamp(message, self.version, time) for message in messages])

    def _messages(self, new: Record, change: Change, event: str) -> list[dict[str, str]]:
        stamped = {change.stamp: events.VERSION_TO_COME} if change.stamp else {}
        future = Job(new.replace(version=events.VERSION_TO_COME, **stamped), self.now)
        frame = events.encode(events.frame(event, future))
        return [events.message_of(frame, topic, new.id) for topic in events.topics_of(new.id, new.owner, new.tags)]

    def _with_progress(self, record: Record) -> Record:
        if not (given := self._progress):
            return record
        total = _number(given["total"])
        return record.replace(
            current=_number(given["current"]) or 0, total=total or None, note=events.cut(given["note"], "note")
        )

    def _with_unsaved(self, record: Record) -> Record:
        if self._unsaved:
            record = record.replace(data=self._unsaved.upon(record.data))
        return self._with_progress(record)

    def _living(self, record: Record) -> Record:
        """Return the record if it may still be written to; one that was given up for lost by us comes back to life."""
        if record.state is JobState.LOST and self._attempt_held is not None and not self._is_claimed(record):
            return record.replace(state=JobState.RUNNING, ended_at=0)
        if record.state is JobState.CANCELLED:
            raise JobCancelled(f"Job {record.id} was cancelled.")
        if record.state.is_ended:
            raise JobEnded(f"Job {record.id} has ended ({record.state}); nothing can be written to it any more.")
        return record

    def _require(self, record: Record, state: JobState) -> None:
        if not record.state.may_become(state) or self._is_claimed(record):
            raise JobEnded(f"Job {record.id} is {record.state} and cannot become {state}; the first end wins.")

    def _is_claimed(self, record: Record) -> bool:
        return bool(record.claimed_at) or record.leased_until > self.now

    def _require_held(self) -> None:
        if self._attempt_held is not None and self._attempt_held < self.record.attempt:
            raise JobEnded(f"Job {self.id}: attempt {self._attempt_held} was overtaken by {self.record.attempt}.")

    def _require_stored(self) -> None:
        if self.is_draft:
            raise JobNotFound(f"Job {self.id} will be there when the surrounding transaction has committed.")


class DetachedJob(Job):
    """What `self.job` is when a job's task runs as a plain Celery task: it keeps to itself, and nobody watches."""

    def _write(self, new: Record, change: Change, event: str) -> bool:
        self._progress = {}
        self._know(new)
        return True

    def end(self, state: JobState, error: str = "") -> None:
        """Remember the end."""
        self._require(self.record, state)
        self._know(self.record.replace(state=state, error=_clean(error)))


def not_found(job_id: str) -> JobNotFound:
    """Return the error for an id that is neither alive nor archived."""
    return JobNotFound(f"There is no job {job_id!r}.")


def exists(job_id: str) -> JobExists:
    """Return the error for an id that has been used."""
    return JobExists(f"There is a job {job_id!r} already; an id is the Celery task id and is used once.")


def _number(value: object, least: float = 0) -> float | None:
    if isinstance(value, int | float) and least <= value < events.VERSION_TO_COME:  # false for NaN and infinity too
        return value
    return None


def _clean(text: object) -> str:
    try:
        return str(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    except Exception:
        logger.exception("a text for a job cannot be read")
        return ""
