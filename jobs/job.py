"""One job: the verbs that move it through its life. Each verb is one atomic transition."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Self

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from . import signals
from .archive.writer import archive
from .conf import jobs_settings
from .core import transitions
from .core.data import JobData
from .core.record import Record
from .core.snapshot import JobSnapshot, Progress
from .core.transitions import Step, Transition
from .exceptions import ClaimInProgress, JobError, StoreUnavailable
from .handlers import JobHandler, find_handler
from .lifecycle.announce import send_signal
from .lifecycle.data import DataWriter
from .lifecycle.progress import ProgressWriter
from .lifecycle.stored_record import StoredRecord
from .logs import get_logger
from .runtime.backlog import backlog_for
from .states import JobState
from .store import records

__all__ = ["Job", "JobSnapshot", "Progress"]

logger = get_logger(__name__)


class Job(JobSnapshot):
    """A job as it was when it was read; `refresh()` reads it again, and every verb updates it.

    Verbs raise `JobEnded` once the job has ended, `JobNotFound` for one that is not stored (yet),
    and `StoreUnavailable` when Redis does not answer within some seconds.
    """

    is_reused = False  # a start that was to start the same work returned this job

    def __init__(
        self, record: Record, now: int = 0, kind: type[StoredRecord] = StoredRecord
    ) -> None:
        super().__init__(record, now)
        self.stored = kind(self)

    @cached_property
    def handler(self) -> JobHandler:
        """The handler. Raises `HandlerNotFound` if its class is no longer there."""
        return find_handler(self.handler_class)(self)

    @cached_property
    def data(self) -> JobData:
        """The metadata; what is assigned to a key is saved at once."""
        return DataWriter(self.stored).mapping()

    @property
    def progress(self) -> Progress:
        """How far the job has come, with what this process has said last."""
        return self._progress.now

    @property
    def is_draft(self) -> bool:
        """Whether it is not stored yet."""
        return self.stored.is_draft

    def become(self, running: JobSnapshot) -> None:
        """Make a draft that is not started the job that runs in its place."""
        self.__dict__.pop("handler", None)
        self.stored.become(running)
        self.is_reused = True

    def refresh(self) -> Self:
        """Read the job again, with its deadline enforced; from the archive if Redis has lost it.

        Raises `JobNotFound` and `StoreUnavailable`.
        """
        self.stored.refresh()
        return self

    def start(self, runner: str = "", instead_of: str = "") -> None:
        """Begin an attempt, which this process then holds: earlier attempts can no longer write.

        `runner` names the process for the worker's parent, which ends the attempt of a process
        that has died. Raises `JobRunning` while another runner holds the attempt, except for
        `instead_of`, which is known to be dead.
        """
        step = self.apply(transitions.start(runner, instead_of))
        self.stored.attempt_held = step.record.attempt
        send_signal(signals.job_started, self)

    def retry(
        self,
        countdown: float,
        max_attempts: int | None = None,
        start_timeout: float | None = None,
    ) -> None:
        """Wait for another attempt, due in `countdown` seconds; this process gives its attempt up.

        A job that was asked to stop is cancelled instead.
        """
        timeout = jobs_settings().START_TIMEOUT if start_timeout is None else start_timeout
        pending = self.stored.pending.upon
        self._give_up(transitions.retry(countdown, max_attempts, timeout, pending))
        self._announce_if_ended()

    def hand_over(self, parts: int = 0) -> None:
        """Leave the work to what replaces this run: another task, or `parts` parts of a canvas.

        It has to start within `START_TIMEOUT`. Raises `JobEnded`, and `JobCancelled` if the job
        was asked to stop.
        """
        stored = self.stored
        self._give_up(transitions.hand_over(parts, stored.is_held, stored.pending.upon))

    def complete(self) -> None:
        """End the job well: on commit inside a transaction of the default database, else now."""
        self._end_on_commit(JobState.COMPLETE)

    def fail(self, error: str = "") -> None:
        """End the job badly, with a text for its owner: on commit in a transaction, else now."""
        self._end_on_commit(JobState.FAILED, error)

    def cancel(self) -> None:
        """Stop the job: now if no worker has it, else at its next progress call. Idempotent.

        Raises `JobEnded` if it ended in another way.
        """
        if self.state is not JobState.CANCELLED:
            self.apply(transitions.cancel)
            self._announce_if_ended()

    def end(self, state: JobState, error: str = "", mark: str = "") -> None:
        """End the job now, whatever transaction is open. Raises `JobEnded` if it has ended before.

        A caller that repeats this after `StoreUnavailable` passes the same `mark`
        (`records.new_mark`) each time.
        """
        mark = mark or records.new_mark()
        with self.stored.lock:
            self._forget_late_progress()
            try:
                self.apply(transitions.end(state, error, self.stored.pending.upon), mark)
            except StoreUnavailable as problem:
                if not self.stored.is_held:
                    raise
                self._end_later(state, error, mark, problem)
                return
        self.stored.announce_ended()

    def set_progress(
        self, current: float, total: float | None = None, message: object = ""
    ) -> None:
        """Say how far the task is; here a cancel takes effect, as `JobCancelled`.

        At most `PROGRESS_PER_SECOND` calls are written and pushed, the last one always. Rubbish
        for a number counts as 0 or as no total, and a store that does not answer is logged:
        neither fails the task. Several threads of the task may call it.
        """
        self._progress.set(current, total, message)

    def increment_progress(self, amount: float = 1, message: object = None) -> None:
        """Move the progress on by an amount; total and (unless given) message stay.

        Several threads of the task may call it, and every call counts.
        """
        self._progress.increment(amount, message)

    def apply(self, transition: Transition, mark: str = "", is_archived: bool = False) -> Step:
        """Apply a transition of `core.transitions`; see `StoredRecord.apply`."""
        return self.stored.apply(transition, mark, is_archived)

    @cached_property
    def _progress(self) -> ProgressWriter:
        return ProgressWriter(self.stored)

    def _forget_late_progress(self) -> None:
        if "_progress" in self.__dict__:  # else there was none, and no need of a writer
            self._progress.stop()

    def _give_up(self, transition: Transition) -> None:
        with self.stored.lock:
            self._forget_late_progress()
            self.apply(transition)
            self.stored.attempt_held = None

    def _announce_if_ended(self) -> None:
        if self.is_ended:
            self.stored.announce_ended()

    def _end_later(
        self, state: JobState, error: str, mark: str, problem: StoreUnavailable
    ) -> None:
        """Keep the outcome of our own work until the store takes it, and archive it at once.

        It is not archived while the owner is being told that the job was lost: that claim may yet
        succeed.
        """
        later = Job(self.record, self.now)
        later.stored.attempt_held = self.stored.attempt_held
        transition = transitions.end(state, error, self.stored.pending.upon)
        new = transitions.outcome(self.record, state, error, self.stored.pending.upon)

        def catch_up() -> None:
            later.apply(transition, mark)
            later.stored.announce_ended()

        self.update(new.replace(version=self.now, ended_at=self.now, deadline=0))
        logger.warning("job %s: %s, kept for later: %s", self.id, self.state, problem)
        if not isinstance(problem, ClaimInProgress):
            archive(self.record)
        backlog_for(problem).add(catch_up)

    def _end_on_commit(self, state: JobState, error: str = "") -> None:
        if not connections[DEFAULT_DB_ALIAS].in_atomic_block:
            self.end(state, error)
            return
        self.stored.require_stored()
        transitions.require(self.record, state, self.now)
        transaction.on_commit(partial(self._end_late, state, error))

    def _end_late(self, state: JobState, error: str) -> None:
        try:
            self.end(state, error)
        except JobError as problem:
            logger.warning("job %s: %s after the commit was refused: %s", self.id, state, problem)
