"""One job as it stands in Redis: read, settled, written by one atomic transition, and put back when Redis lost it.

The version that we have read goes along with what we write; if somebody else has written meanwhile, nothing happens,
we look again and decide anew. So a pushed frame is always the stored job, and the first end wins.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Self, cast

from . import events, indexes, publisher, store
from .announce import announce_ended, find_archived, find_claimed
from .conf import jobs_settings
from .exceptions import (
    ClaimInProgress,
    JobCancelled,
    JobEnded,
    JobNotFound,
    StoreUnavailable,
    exists,
    not_found,
)
from .handlers import JobHandler, find_handler
from .known import KnownJob
from .record import Record
from .states import JobState
from .store import Change, Outcome

if TYPE_CHECKING:
    from .job import Job

MAX_TRIES = 1000  # each failed one means that another writer has succeeded

Decision = tuple[Record, Change]


class StoredJob(KnownJob):
    """A job as it was when it was read; `refresh()` reads it again, and every write brings it up to date."""

    def __init__(self, record: Record, now: int = 0) -> None:
        super().__init__(record, now)
        self.is_draft = False
        self.is_reused = False  # by a start that was to start the same work, see `become`
        self._attempt_held: int | None = None  # the attempt that this process is working on, if it is
        self._marks = ""  # of those who have written it, as far as we know
        self._lock = threading.RLock()

    @cached_property
    def handler(self) -> JobHandler:
        """The handler; raises `HandlerNotFound` if its class is no longer there."""
        return find_handler(self.record.handler_class)(cast("Job", self))

    @cached_property
    def _channels(self) -> list[str]:
        return publisher.channels_of(self.topics)

    def refresh(self) -> Self:
        """Read the job again, with its deadline enforced, from the archive if Redis has lost it.

        Raises `JobNotFound`, `StoreUnavailable`.
        """
        outcome = store.read(self.id)
        if outcome.record is not None and not self._is_newer_than(outcome):
            self._know(outcome.record, outcome.now)
            self.settle()
        elif outcome.record is not None:
            self._know(self._archived() or outcome.record)
        elif (archived := find_archived(self.id)) is not None:
            self._know(archived)
        else:
            raise not_found(self.id)
        return self

    def create(self, change: Change, ended: str = "") -> str:
        """Store a draft for the first time and push `created`; return "".

        Return the id of the job that holds the draft's unique key, if another does and it is not `ended`. Then, and
        when `JobExists` or `StoreUnavailable` is raised, it remains a draft.
        """
        message = self._message(self.record, change, events.CREATED)
        push = publisher.prepare(message, self._channels)
        outcome = store.create(self.record, change, push, ended)
        if outcome.holder:
            return outcome.holder
        if not outcome.written or outcome.record is None:
            raise exists(self.id)
        self.is_draft = False
        self._know(outcome.record)
        self._send_unless_pushed(push, message, outcome.version)
        return ""

    def become(self, running: StoredJob) -> None:
        """Make a draft that is not started the job that runs in its place."""
        for name in ("handler", "topics", "_channels"):  # what is kept of the draft
            self.__dict__.pop(name, None)
        self._know(running.record, running.now)
        self.is_draft = False
        self.is_reused = True

    def restore(self, found: Outcome | None = None, keep_version: bool = False) -> bool:
        """Write the whole record anew, as its worker or the archive knows it, if Redis has lost it; says if so.

        `found` is what Redis has instead, when it was restored from an old backup. The version grows, so that a page
        takes the record for newer than what it has seen; who may have missed the last changes keeps it, so that the
        process which made them finds that it knows better.
        """
        if (ended := self._ended_meanwhile()) is not None:
            self._know(ended)
        if not self.is_ended:
            with suppress(StoreUnavailable):  # without the database nobody can claim it either
                if (claimed := find_claimed(self.id)) is not None:
                    self._know(claimed)
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

    def settle(self, waits: bool = True) -> None:
        """End a job whose deadline has passed, as expired or lost; the first reader does this. Idempotent.

        Unless the caller `waits` for the database, the archive's row is written a moment later.
        """
        with self._lock:
            while self.is_overdue:
                state = JobState.LOST if self.state is JobState.RUNNING else JobState.EXPIRED
                new = self._ended_meanwhile() or self.record.replace(state=state)
                change = Change(stamp="" if new.ended_at else "ended_at", deadline=0, overdue=True)
                if self._write(new, change, events.OF_STATE[new.state]) and self.is_ended:
                    announce_ended(self, waits=waits)

    def _apply(
        self,
        decide: Callable[[Record], Decision],
        event: str | Callable[[Record], str] = "",
        mark: str = "",
        is_archived: bool = False,
    ) -> Record:
        """Decide on the stored record, and write the result; repeat while others write first.

        Returns what was written. A caller that may have to repeat the whole after `StoreUnavailable` passes the same
        `mark` each time: then a write that had been done, though its answer was lost, is not done twice. A result
        that `is_archived` already may take the place of `lost` without a question to the archive.
        """
        self._require_stored()
        mark = mark or store.new_mark()
        with self._lock:
            for _try in range(MAX_TRIES):
                if self.is_overdue:
                    self.settle()
                if store.version_of(mark, self._marks):
                    return self.record
                self._require_held()
                new, change = decide(self.record)
                if self.state is JobState.LOST and new.state is not JobState.LOST and not is_archived:
                    self._require_unclaimed()
                if self._write(new, change, event if isinstance(event, str) else event(new), mark):
                    return new
        raise StoreUnavailable(f"Job {self.id} is being written to by too many at once.")

    def _require_unclaimed(self) -> None:
        """Make sure that nobody has claimed the job as lost, before it leaves that state.

        The database decides between a worker that speaks again and an owner who is being told that the job was lost.
        A claim that locks the row after this question looks at the job in Redis once more. Raises `JobEnded` if the
        owner was first, and `StoreUnavailable` if the database cannot be asked.
        """
        claimed = find_claimed(self.id)
        if claimed is None:
            return
        truth = claimed.replace(leased_until=0, leased_by="")
        event = "" if truth.state is JobState.LOST else events.OF_STATE[truth.state]
        while self.state is JobState.LOST and not self.record.claimed_at:
            self._write(truth, Change(deadline=0), event)
        raise JobEnded(f"Job {self.id} has been claimed as {truth.state}, and its owner has been told so.")

    def _write(self, new: Record, change: Change, event: str, mark: str = "") -> bool:
        message = self._message(new, change, event) if event else None
        push = publisher.prepare(message, self._channels) if message else None
        outcome = store.write(self.record, new, change, push, mark)
        self._marks = outcome.marks
        if outcome.record is None or self._is_newer_than(outcome):
            if self._attempt_held is None and self.state is not JobState.LOST:
                raise not_found(self.id)
            self.restore(outcome)
            return False
        self._know(outcome.record, outcome.now)
        if outcome.written:
            self._send_unless_pushed(push, message, outcome.version)
        return outcome.written

    def _ended_meanwhile(self) -> Record | None:
        """Return the end that the archive knows of, if it is later than what we know."""
        archived = self._archived()
        return archived if archived is not None and archived.version > self.version else None

    def _archived(self) -> Record | None:
        """Return the job as the archive has it; None also if the archive cannot be asked now."""
        with suppress(StoreUnavailable):
            return find_archived(self.id)
        return None

    def _is_newer_than(self, outcome: Outcome) -> bool:
        """Say whether Redis has less than we know of: it was emptied, or restored from an old backup."""
        return outcome.record is None or outcome.record.version < self.version

    def _send_unless_pushed(self, push: events.Push | None, message: events.Message | None, version: int) -> None:
        if push is None and message is not None:
            publisher.send(events.stamp(message, version, events.iso(version) or ""))

    def _message(self, new: Record, change: Change, event: str) -> events.Message:
        stamped = {change.stamp: events.VERSION_TO_COME} if change.stamp else {}
        future = FutureJob(self, new.replace(version=events.VERSION_TO_COME, **stamped))
        return events.message_of(events.frame(event, future), self.topics, new.id)

    def _living(self, record: Record) -> Record:
        """Return the record if it may still be written to; one that was given up for lost by us comes back to life."""
        if record.state is JobState.LOST and self._attempt_held is not None and not record.claimed_at:
            self._require_unleased(record)
            return record.replace(state=JobState.RUNNING, ended_at=0, leased_until=0, leased_by="")
        if record.state is JobState.CANCELLED and self._attempt_held is not None:
            raise JobCancelled(f"Job {record.id} was cancelled.")
        if record.state.is_ended:
            raise JobEnded(f"Job {record.id} has ended ({record.state}); nothing can be written to it any more.")
        return record

    def _require(self, record: Record, state: JobState) -> None:
        if not record.state.may_become(state) or record.claimed_at:
            raise JobEnded(f"Job {record.id} is {record.state} and cannot become {state}; the first end wins.")
        self._require_unleased(record)

    def _require_unleased(self, record: Record) -> None:
        """Refuse to change an outcome that is being claimed; a claim that dies gives way after its lease."""
        if record.leased_until > self.now:
            raise ClaimInProgress(f"Job {record.id} is being claimed as {record.state}.")

    def _require_held(self) -> None:
        if self._attempt_held is not None and self._attempt_held < self.record.attempt:
            raise JobEnded(f"Job {self.id}: attempt {self._attempt_held} was overtaken by {self.record.attempt}.")

    def _require_stored(self) -> None:
        if self.is_draft:
            raise JobNotFound(f"Job {self.id} will be there when the surrounding transaction has committed.")


class FutureJob(KnownJob):
    """A job as it will be once it is written: what a frame tells, and a job for a handler that computes some of it."""

    def __init__(self, job: StoredJob, record: Record) -> None:
        self.record = record
        self._known_at, self._known_since = job._known_at, job._known_since
        self._kind = type(job)

    @cached_property
    def handler(self) -> JobHandler:
        """The handler; raises `HandlerNotFound` if its class is no longer there."""
        return self._kind(self.record, self.now).handler
