"""One job's record in Redis: reads it, applies transitions to it, restores it if Redis lost it.

Each write names the version that was read. If somebody else has written since, nothing happens,
and the transition decides again. So a pushed frame is always the stored job, and the first end
wins.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cached_property

from jobs.archive.writer import archive, find_archived, find_claimed
from jobs.conf import jobs_settings
from jobs.core import clock, event_names, transitions
from jobs.core.record import Record
from jobs.core.snapshot import JobSnapshot
from jobs.core.transitions import Change, Step, Transition
from jobs.exceptions import JobEnded, JobNotFound, StoreUnavailable, exists, not_found
from jobs.push import envelope, frames, publisher
from jobs.states import JobState
from jobs.store import indexes, records
from jobs.store.push import Push
from jobs.store.records import Outcome

from .announce import announce_ended
from .pending import Pending

MAX_TRIES = 1000  # each failed one means that another writer has succeeded


class StoredRecord:
    """The record of a job in Redis; keeps the job's snapshot up to date with it."""

    def __init__(self, job: JobSnapshot) -> None:
        self.job = job
        self.pending = Pending()
        self.is_draft = False  # not stored yet
        self.attempt_held: int | None = None  # the attempt that this process works on, if it does
        self.lock = threading.RLock()
        self._marks = ""  # of those who have written it, as far as we know

    @property
    def is_held(self) -> bool:
        """Whether this process works on the job."""
        return self.attempt_held is not None

    @cached_property
    def _channels(self) -> list[str]:
        return publisher.channels_of(self.job.topics)

    def refresh(self) -> None:
        """Read the job again and settle it; take the archive's record if Redis has lost it.

        Raises `JobNotFound` and `StoreUnavailable`.
        """
        found = records.read(self.job.id)
        if found.record is not None and not self._is_newer_than(found):
            self.job.update(found.record, found.now)
            self.settle()
        elif found.record is not None:
            self.job.update(self._archived() or found.record)
        elif (archived := find_archived(self.job.id)) is not None:
            self.job.update(archived)
            self.return_lost(found.now)
        else:
            raise not_found(self.job.id)

    def create(self, change: Change, ended: str = "") -> str:
        """Store a draft for the first time and push `created`; return "".

        Returns the id of the job that holds the draft's unique key, if another does and it is not
        `ended`. It remains a draft then, and when `JobExists` or `StoreUnavailable` is raised.
        """
        message = self._message(Step(self.job.record, change, event_names.CREATED))
        push = publisher.prepare(message, self._channels) if message else None
        outcome = records.create(self.job.record, change, push, ended)
        if outcome.holder:
            return outcome.holder
        if not outcome.written or outcome.record is None:
            raise exists(self.job.id)
        self.is_draft = False
        self.job.update(outcome.record)
        self._send_unless_pushed(push, message, outcome.version)
        return ""

    def become(self, running: JobSnapshot) -> None:
        """Make a draft that is not started the job that runs in its place."""
        self.__dict__.pop("_channels", None)
        self.job.__dict__.pop("topics", None)
        self.job.update(running.record, running.now)
        self.is_draft = False

    def apply(self, transition: Transition, mark: str = "", is_archived: bool = False) -> Step:
        """Decide on the stored record and write the step; repeat while others write first.

        Returns what was written. A caller that may have to repeat the whole after
        `StoreUnavailable` passes the same `mark` each time: a write that had been done, though its
        answer was lost, is then not done twice. A step that `is_archived` already may take the
        place of `lost` without a question to the archive.
        """
        self.require_stored()
        mark = mark or records.new_mark()
        with self.lock:
            for _try in range(MAX_TRIES):
                self.settle()
                if self._marks and records.version_of(mark, self._marks):
                    return Step(self.job.record)
                self._require_attempt()
                step = transition(self.job.record, self.job.now)
                if self._leaves_lost(step) and not is_archived:
                    self._require_unclaimed()
                if self._write(step, mark):
                    return step
        raise StoreUnavailable(f"Job {self.job.id} is being written to by too many at once.")

    def settle(self, waits: bool = True) -> None:
        """End a job whose deadline has passed; the first reader does this. Idempotent.

        With `waits=False` another thread writes the archive's row a moment later.
        """
        if not self.job.is_overdue:
            return
        with self.lock:
            while self.job.is_overdue:
                if (ended := self._ended_meanwhile()) is not None:
                    step = transitions.ended_before(ended)
                else:
                    step = transitions.overdue(self.job.record, self.job.now)
                if self._write(step) and self.job.is_ended:
                    self.announce_ended(waits)

    def announce_ended(self, waits: bool = True) -> None:
        """Archive the ended job and tell the listeners."""
        announce_ended(self.job, waits)

    def restore(self, found: Outcome | None = None, keep_version: bool = False) -> bool:
        """Write the record back after Redis lost it or was restored from a backup.

        `found` is what Redis has instead. Normally the version is bumped, so that pages accept the
        rewritten job. The heartbeat passes `keep_version=True`: it may hold a stale copy, and the
        process that made the latest change must still see that its own is newer. Returns whether
        this call wrote the record.
        """
        self._take_what_the_archive_knows()
        job, old = self.job, found.record if found else None
        is_overdue = old is not None and found is not None and 0 < old.deadline <= found.now
        deadline = transitions.deadline_after_restore(job.state)
        change = Change(deadline=deadline, overdue=is_overdue, keep_version=keep_version)
        outcome = records.write(old, job.record, change)
        if outcome.record is not None and not self._is_newer_than(outcome):
            job.update(outcome.record, outcome.now)
        if outcome.written:
            indexes.add_to_indexes(job.record)
        return outcome.written

    def return_lost(self, now: int) -> None:
        """Write a lost job back that only the archive still has, at this time of Redis's clock.

        Its worker may have spoken after it was archived. Pages then know a newer version, and
        would take the archive's for an old one. A record that Redis has forgotten after its time
        stays forgotten.
        """
        job = self.job
        is_recent = now - job.version < jobs_settings().TTL * 1_000_000
        if job.state is JobState.LOST and not job.record.claimed_at and is_recent:
            with suppress(StoreUnavailable):
                if self.restore():
                    archive(job.record)  # so that both know the same version

    def trust_archive(self) -> None:
        """Take the archive's word if Redis shows the job before its end, being an old backup."""
        if not self.job.is_ended and (ended := self._ended_meanwhile()) is not None:
            self.job.update(ended)

    def require_stored(self) -> None:
        """Raise `JobNotFound` for a draft."""
        if self.is_draft:
            raise JobNotFound(
                f"Job {self.job.id} will be there when the surrounding transaction has committed."
            )

    def _write(self, step: Step, mark: str = "") -> bool:
        progress = self.pending.progress
        message = self._message(step) if step.event else None
        push = publisher.prepare(message, self._channels) if message else None
        outcome = records.write(self.job.record, step.record, step.change, push, mark)
        self._marks = outcome.marks
        if outcome.record is None or self._is_newer_than(outcome):
            if not self.is_held and self.job.state is not JobState.LOST:
                raise not_found(self.job.id)
            self.restore(outcome)
            return False
        self.job.update(outcome.record, outcome.now)
        if outcome.written:
            self._send_unless_pushed(push, message, outcome.version)
            self.pending.forget_written(progress, step.record)
        return outcome.written

    def _require_unclaimed(self) -> None:
        """Make sure that nobody has claimed the job as lost, before it leaves that state.

        The database decides between a worker that speaks again and an owner who is being told that
        the job was lost. A claim that locks the row after this question looks at the job in Redis
        once more. Raises `JobEnded` if the owner was first, and `StoreUnavailable` if the database
        cannot be asked.
        """
        claimed = find_claimed(self.job.id)
        if claimed is None:
            return
        truth = claimed.replace(leased_until=0, leased_by="")
        event = "" if truth.state is JobState.LOST else event_names.OF_STATE[truth.state]
        step = Step(truth, Change(deadline=transitions.NEVER), event)
        while self.job.state is JobState.LOST and not self.job.record.claimed_at:
            self._write(step)
        raise JobEnded(
            f"Job {self.job.id} was claimed as {truth.state}, and its owner has seen that."
        )

    def _take_what_the_archive_knows(self) -> None:
        if (ended := self._ended_meanwhile()) is not None:
            self.job.update(ended)
        if not self.job.is_ended:
            with suppress(StoreUnavailable):  # without the database nobody can claim it either
                if (claimed := find_claimed(self.job.id)) is not None:
                    self.job.update(claimed)

    def _ended_meanwhile(self) -> Record | None:
        """Return the end that the archive knows of, if it is later than what we know."""
        archived = self._archived()
        return archived if archived is not None and archived.version > self.job.version else None

    def _archived(self) -> Record | None:
        """Return the job as the archive has it; None also if the archive cannot be asked now."""
        with suppress(StoreUnavailable):
            return find_archived(self.job.id)
        return None

    def _leaves_lost(self, step: Step) -> bool:
        old, new = self.job.record.state, step.record.state
        return old is JobState.LOST and new is not JobState.LOST

    def _is_newer_than(self, outcome: Outcome) -> bool:
        """Whether Redis has less than we know: it was emptied, or restored from an old backup."""
        return outcome.record is None or outcome.record.version < self.job.record.version

    def _require_attempt(self) -> None:
        held, current = self.attempt_held, self.job.record.attempt
        if held is not None and held < current:
            text = f"Job {self.job.id}: attempt {held} was overtaken by {current}."
            raise JobEnded(text)

    def _message(self, step: Step) -> envelope.Message:
        stamp = step.change.stamp
        stamped = {stamp: clock.VERSION_TO_COME} if stamp else {}
        new = step.record.replace(version=clock.VERSION_TO_COME, **stamped)
        frame = frames.frame(step.event, JobSnapshot(new, self.job.now))
        return envelope.message_of(frame, self.job.topics, new.id)

    def _send_unless_pushed(
        self, push: Push | None, message: envelope.Message | None, version: int
    ) -> None:
        if push is None and message is not None:
            publisher.send(envelope.stamp(message, version, clock.iso(version) or ""))
