"""One job: the verbs that move it through its life. Each is one atomic transition (`stored`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from . import events, signals, store
from .announce import announce_ended, archive, send_signal
from .backlog import backlog_for
from .conf import jobs_settings
from .exceptions import (
    ClaimInProgress,
    JobCancelled,
    JobEnded,
    JobError,
    JobRunning,
    StoreUnavailable,
)
from .logs import get_logger
from .record import Record
from .states import JobState
from .store import Change
from .stored import Decision
from .working import WorkingJob, clean

logger = get_logger("jobs.job")


class Job(WorkingJob):
    """A job as it was when it was read; `refresh()` reads it again, and every verb brings it up to date.

    Verbs raise `JobEnded` once the job has ended, `JobNotFound` for one that is not stored (yet), `StoreUnavailable`
    when Redis does not answer within some seconds.
    """

    def start(self, runner: str = "", instead_of: str = "") -> None:
        """Begin an attempt: pending, retrying or (after a redelivery) running becomes running.

        From here on this process holds the attempt: writes of an earlier one are refused with `JobEnded`. `runner`
        names it, for the worker's parent, which ends the attempt of a process that has died. Raises `JobRunning`
        while another runner holds the attempt and is not overdue, except for `instead_of`, which is known to be dead.
        """

        def decide(record: Record) -> Decision:
            self._require(record, JobState.RUNNING)
            if record.state is JobState.RUNNING and record.runner not in ("", runner, instead_of):
                left = (record.deadline - self.now) / 1_000_000
                raise JobRunning(f"Job {record.id} is run by {record.runner}, whose heart beats.", left)
            attempt = {"attempt": record.attempt + 1, "runner": runner, "current": 0, "total": None, "note": ""}
            new = record.replace(state=JobState.RUNNING, ended_at=0, **attempt)
            return new, Change(stamp="started_at", deadline=jobs_settings().LOST_AFTER)

        self._attempt_held = self._apply(decide, events.STARTED).attempt
        send_signal(signals.job_started, self)

    def retry(self, countdown: float, max_attempts: int | None = None, start_timeout: float | None = None) -> None:
        """Wait for another attempt, due in so many seconds; this process gives its attempt up.

        A job that was asked to stop is cancelled instead.
        """
        seconds = jobs_settings().START_TIMEOUT if start_timeout is None else start_timeout

        def decide(record: Record) -> Decision:
            self._require(record, JobState.RETRYING)
            if record.cancel_asked:
                return record.replace(state=JobState.CANCELLED), Change(stamp="ended_at", deadline=0)
            due = self.now + int(countdown * 1_000_000)
            new = self._with_unsaved(record).replace(
                state=JobState.RETRYING, runner="", retry_at=due, max_attempts=max_attempts or 0, error="", ended_at=0
            )
            return new, Change(deadline=countdown + seconds)

        with self._lock:
            self._forget_late_progress()
            self._apply(decide, lambda new: events.OF_STATE[new.state])
            self._attempt_held = None
        if self.is_ended:
            announce_ended(self)

    def hand_over(self, parts: int = 0) -> None:
        """Leave the work to what replaces this run: another task, or so many parts of a canvas.

        The job goes on running, and what replaces the run has to start within `START_TIMEOUT`. Its attempts are
        counted from the beginning. Raises `JobEnded`, and `JobCancelled` if the job was asked to stop.
        """

        def decide(record: Record) -> Decision:
            record = self._with_unsaved(self._living(record))
            if record.cancel_asked:
                raise JobCancelled(f"Job {record.id} was asked to stop.")
            new = record.replace(runner="", attempt=0, max_attempts=0)
            if parts:
                new = new.replace(current=0, total=parts, note="", parts=frozenset())
            return new, Change(deadline=jobs_settings().START_TIMEOUT)

        with self._lock:
            self._forget_late_progress()
            self._apply(decide, events.PROGRESS if parts else "")
            self._attempt_held = None

    def add_parts(self, number: int) -> None:
        """Let the job, which is a canvas, be ready only when so many parts more have ended."""

        def decide(record: Record) -> Decision:
            record = self._living(record)
            return record.replace(total=(record.total or 0) + number), Change()

        self._apply(decide, events.PROGRESS)

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

    def end(self, state: JobState, error: str = "", mark: str = "") -> None:
        """End the job now, whatever transaction is open; raises `JobEnded` if it has ended before.

        A caller that repeats this after `StoreUnavailable` passes the same `mark` (`store.new_mark`) each time.
        """
        mark = mark or store.new_mark()

        def ended(record: Record) -> Record:
            return self._with_unsaved(record).replace(
                state=state, error=clean(error) if error else "", leased_until=0, leased_by=""
            )

        def decide(record: Record) -> Decision:
            self._require(record, state)
            return ended(record), Change(stamp="ended_at", deadline=0)

        with self._lock:
            self._forget_late_progress()
            try:
                self._apply(decide, events.OF_STATE[state], mark)
            except StoreUnavailable as problem:
                if self._attempt_held is None:
                    raise
                self._end_later(ended, decide, mark, problem)
                return
        announce_ended(self)

    def lease(self, token: str, seconds: float) -> bool:
        """Keep others from claiming this ended job for some seconds; says whether this token holds the lease now.

        The same call prolongs it. Raises `JobEnded` if the job cannot be claimed: it has not ended, or it
        has been claimed.
        """

        def decide(record: Record) -> Decision:
            if not record.state.is_ended or record.claimed_at:
                what = "claimed" if record.claimed_at else record.state
                raise JobEnded(f"Job {record.id} cannot be claimed: it is {what}.")
            if record.leased_until > self.now and record.leased_by != token:
                raise ClaimInProgress(f"Job {record.id} is being claimed.")
            until = self.now + int(seconds * 1_000_000)
            return record.replace(leased_until=until, leased_by=token), Change(is_repeatable=True)

        try:
            self._apply(decide)
        except ClaimInProgress:
            return False
        return True

    def release(self, token: str) -> None:
        """Give a lease back, because the claim did not work out; raises `JobEnded` if it is another's."""

        def decide(record: Record) -> Decision:
            self._require_lease(record, token)
            return record.replace(leased_until=0, leased_by=""), Change(is_repeatable=True)

        self._apply(decide)

    def mark_claimed(self, url: str, token: str | None = None) -> None:
        """Remember where the owner was sent; from here on nothing can change the outcome.

        With a token, only if the lease is still that token's: nobody else may have taken it since. Raises `JobEnded`
        if the stored job has another outcome, or has been claimed.
        """
        outcome = self.state, self.record.ended_at

        def decide(record: Record) -> Decision:
            if record.claimed_at or (record.state, record.ended_at) != outcome:
                raise JobEnded(f"Job {record.id} is {record.state} and is not claimed as {outcome[0]}.")
            if token:
                self._require_lease(record, token)
            claimed = {"claimed_at": self.now, "claimed_url": url}
            return record.replace(**claimed, leased_until=0, leased_by=""), Change()

        self._apply(decide)

    def take_outcome(self, archived: Record) -> None:
        """Give the stored job the outcome that the archive has: the first end wins, and the archive keeps it."""

        def decide(record: Record) -> Decision:
            lease = {"leased_until": record.leased_until, "leased_by": record.leased_by}
            return archived.replace(**lease, version=record.version), Change(deadline=0)

        self._apply(decide, events.OF_STATE[archived.state], is_archived=True)

    def _require_lease(self, record: Record, token: str) -> None:
        if record.leased_by != token:
            raise JobEnded(f"Job {record.id}: the lease has run out and is another's.")

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

    def _end_later(
        self,
        ended: Callable[[Record], Record],
        decide: Callable[[Record], Decision],
        mark: str,
        problem: StoreUnavailable,
    ) -> None:
        """Keep the outcome of our own work for when the store takes it, and archive it at once.

        It is not archived while the owner is being told that the job was lost: that claim may yet succeed.
        """
        later = Job(self.record, self.now)
        later._attempt_held = self._attempt_held
        new = ended(self.record).replace(version=self.now, ended_at=self.now, deadline=0)

        def catch_up() -> None:
            later._apply(decide, events.OF_STATE[new.state], mark)
            announce_ended(later)

        self._know(new)
        logger.warning("job %s: %s, kept for later: %s", self.id, self.state, problem)
        if not isinstance(problem, ClaimInProgress):
            archive(self.record)
        backlog_for(problem).add(catch_up)

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
