"""One job: the verbs that move it through its life. Each is one atomic transition (`stored`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from . import events, signals
from .announce import announce_ended, archive, send_signal
from .backlog import backlog
from .conf import jobs_settings
from .exceptions import JobCancelled, JobEnded, JobError, JobRunning, StoreUnavailable
from .record import Record
from .states import JobState
from .store import Change
from .stored import Decision
from .working import WorkingJob, clean

logger = logging.getLogger("jobs.job")


class _Leased(Exception):
    """Somebody else holds the lease."""


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

        self._apply(decide, events.STARTED)
        self._attempt_held = self.record.attempt
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

    def end(self, state: JobState, error: str = "") -> None:
        """End the job now, whatever transaction is open; raises `JobEnded` if it has ended before."""

        def decide(record: Record) -> Decision:
            self._require(record, state)
            new = self._with_unsaved(record).replace(state=state, error=clean(error) if error else "")
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
