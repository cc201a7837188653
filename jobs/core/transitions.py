"""The state machine of a job: what each step makes of its record, decided without any I/O.

A transition is a function of the stored record and of Redis's clock. It returns the `Step` to
write, or raises why there is none. `lifecycle.stored_record` writes the step, and decides again
if somebody else has written first.
"""

from collections.abc import Callable
from typing import NamedTuple

from jobs.conf import jobs_settings
from jobs.exceptions import ClaimInProgress, JobCancelled, JobEnded, JobRunning
from jobs.states import JobState

from . import event_names
from .record import Record
from .text import clean

NEVER = 0.0  # seconds: as a deadline that there is none


class Change(NamedTuple):
    """What a write does besides the fields it sets."""

    stamp: str = ""  # the field that becomes this moment: created_at, started_at or ended_at
    deadline: float | None = None  # seconds until the job is overdue; `NEVER`; None as before
    overdue: bool = False  # only if the deadline has passed
    keep_version: bool = False  # of the new record; else it gets a new one
    is_repeatable: bool = (
        False  # writing it twice does no harm, so the record need not remember it
    )


class Step(NamedTuple):
    """What a transition decides: the new record, how to write it, and what pages hear."""

    record: Record
    change: Change = Change()
    event: str = ""  # "": pages are not told


Transition = Callable[[Record, int], Step]
Pending = Callable[[Record], Record]  # adds what the task has said and the store has not heard yet


def unchanged(record: Record) -> Record:
    """Add nothing."""
    return record


def start(runner: str = "", instead_of: str = "") -> Transition:
    """Begin an attempt: pending, retrying or (after a redelivery) running becomes running.

    Raises `JobRunning` while another runner holds the attempt, except for `instead_of`, which is
    known to be dead.
    """

    def decide(record: Record, now: int) -> Step:
        require(record, JobState.RUNNING, now)
        if record.state is JobState.RUNNING and record.runner not in ("", runner, instead_of):
            left = (record.deadline - now) / 1_000_000
            text = f"Job {record.id} is run by {record.runner}, whose heart beats."
            raise JobRunning(text, left)
        new = record.replace(
            state=JobState.RUNNING,
            ended_at=0,
            attempt=record.attempt + 1,
            runner=runner,
            current=0,
            total=None,
            note="",
        )
        change = Change(stamp="started_at", deadline=jobs_settings().LOST_AFTER)
        return Step(new, change, event_names.STARTED)

    return decide


def retry(
    countdown: float,
    max_attempts: int | None,
    start_timeout: float,
    pending: Pending = unchanged,
) -> Transition:
    """Wait for another attempt, due in `countdown` seconds; cancel if that was asked for."""

    def decide(record: Record, now: int) -> Step:
        require(record, JobState.RETRYING, now)
        if record.cancel_asked:
            return _ended(record, JobState.CANCELLED)
        new = pending(record).replace(
            state=JobState.RETRYING,
            runner="",
            retry_at=now + int(countdown * 1_000_000),
            max_attempts=max_attempts or 0,
            error="",
            ended_at=0,
        )
        return Step(new, Change(deadline=countdown + start_timeout), event_names.RETRYING)

    return decide


def end(state: JobState, error: str = "", pending: Pending = unchanged) -> Transition:
    """End the job, with a text for its owner."""

    def decide(record: Record, now: int) -> Step:
        require(record, state, now)
        new = outcome(record, state, error, pending)
        return Step(new, Change(stamp="ended_at", deadline=NEVER), event_names.OF_STATE[state])

    return decide


def outcome(record: Record, state: JobState, error: str, pending: Pending = unchanged) -> Record:
    """Return the record as it ends, except for the time."""
    return pending(record).replace(
        state=state, error=clean(error) if error else "", leased_until=0, leased_by=""
    )


def cancel(record: Record, now: int) -> Step:
    """Cancel a job that no worker has; ask a running one to stop."""
    if record.state is JobState.RUNNING:
        return Step(record.replace(cancel_asked=True))
    require(record, JobState.CANCELLED, now)
    return _ended(record, JobState.CANCELLED)


def overdue(record: Record, now: int) -> Step:
    """End a job whose deadline has passed: a running one is lost, any other has expired."""
    state = JobState.LOST if record.state is JobState.RUNNING else JobState.EXPIRED
    return ended_before(record.replace(state=state))


def ended_before(record: Record) -> Step:
    """Take an end that is known already, if the stored job is overdue."""
    stamp = "" if record.ended_at else "ended_at"
    change = Change(stamp=stamp, deadline=NEVER, overdue=True)
    return Step(record, change, event_names.OF_STATE[record.state])


def progress(is_held: bool, pending: Pending) -> Transition:
    """Write how far the task is. Raises `JobCancelled` if the job was asked to stop."""

    def decide(record: Record, now: int) -> Step:
        record = require_alive(record, now, is_held)
        if record.cancel_asked:
            stop = JobCancelled if is_held else JobEnded
            raise stop(f"Job {record.id} was asked to stop.")
        deadline = jobs_settings().LOST_AFTER if record.state is JobState.RUNNING else None
        return Step(
            pending(record), Change(deadline=deadline, is_repeatable=True), event_names.PROGRESS
        )

    return decide


def save_data(is_held: bool, pending: Pending) -> Transition:
    """Write the data that `pending` adds."""

    def decide(record: Record, now: int) -> Step:
        return Step(pending(require_alive(record, now, is_held)), Change(is_repeatable=True))

    return decide


def hand_over(parts: int, is_held: bool, pending: Pending) -> Transition:
    """Leave the work to what replaces this run: another task, or the parts of a canvas.

    It has to start within `START_TIMEOUT`, and its attempts are counted from the beginning.
    """

    def decide(record: Record, now: int) -> Step:
        record = pending(require_alive(record, now, is_held))
        _require_wanted(record)
        new = record.replace(runner="", attempt=0, max_attempts=0)
        if parts:
            new = new.replace(current=0, total=parts, note="", parts=frozenset())
        change = Change(deadline=jobs_settings().START_TIMEOUT)
        return Step(new, change, event_names.PROGRESS if parts else "")

    return decide


def start_part(record: Record, now: int) -> Step:
    """Begin a part of a canvas; the first one starts the job."""
    record = require_alive(record, now)
    _require_wanted(record)
    is_first = record.state is not JobState.RUNNING
    new = record.replace(state=JobState.RUNNING, attempt=1)
    stamp = "started_at" if is_first else ""
    change = Change(stamp=stamp, deadline=jobs_settings().START_TIMEOUT)
    return Step(new, change, event_names.STARTED if is_first else "")


def end_part(task_id: str) -> Transition:
    """Count a part that has ended well, once; the last one completes the job."""

    def decide(record: Record, now: int) -> Step:
        parts = require_alive(record, now).parts | {task_id}
        new = record.replace(parts=parts, current=len(parts))
        if len(parts) < (record.total or 0):
            change = Change(deadline=jobs_settings().START_TIMEOUT)
            return Step(new, change, event_names.PROGRESS)
        return _ended(new, JobState.COMPLETE)

    return decide


def add_parts(number: int) -> Transition:
    """Let a canvas be ready only when `number` parts more have ended."""

    def decide(record: Record, now: int) -> Step:
        record = require_alive(record, now)
        return Step(record.replace(total=(record.total or 0) + number), event=event_names.PROGRESS)

    return decide


def lease(token: str, seconds: float) -> Transition:
    """Keep others from claiming an ended job for some seconds; the same token prolongs its lease.

    Raises `JobEnded` if the job cannot be claimed: it has not ended, or it has been claimed.
    Raises `ClaimInProgress` while another token holds a lease.
    """

    def decide(record: Record, now: int) -> Step:
        if not record.state.is_ended or record.claimed_at:
            what = "claimed" if record.claimed_at else record.state
            raise JobEnded(f"Job {record.id} cannot be claimed: it is {what}.")
        if record.leased_until > now and record.leased_by != token:
            raise ClaimInProgress(f"Job {record.id} is being claimed.")
        until = now + int(seconds * 1_000_000)
        return Step(
            record.replace(leased_until=until, leased_by=token), Change(is_repeatable=True)
        )

    return decide


def release(token: str) -> Transition:
    """Give a lease back. Raises `JobEnded` if another token holds it."""

    def decide(record: Record, now: int) -> Step:
        _require_lease(record, token)
        return Step(record.replace(leased_until=0, leased_by=""), Change(is_repeatable=True))

    return decide


def claimed(url: str, known: Record, token: str | None = None) -> Transition:
    """Remember where the owner was sent; after this nothing changes the outcome.

    With a token, only while that token holds the lease. Raises `JobEnded` if the stored job has
    another outcome than `known`, or has been claimed.
    """

    def decide(record: Record, now: int) -> Step:
        is_same = (record.state, record.ended_at) == (known.state, known.ended_at)
        if record.claimed_at or not is_same:
            text = f"Job {record.id} is {record.state} and is not claimed as {known.state}."
            raise JobEnded(text)
        if token:
            _require_lease(record, token)
        return Step(record.replace(claimed_at=now, claimed_url=url, leased_until=0, leased_by=""))

    return decide


def archived_outcome(archived: Record) -> Transition:
    """Take the outcome that the archive has: the first end wins, and the archive keeps it."""

    def decide(record: Record, now: int) -> Step:
        lease = {"leased_until": record.leased_until, "leased_by": record.leased_by}
        new = archived.replace(**lease, version=record.version)
        return Step(new, Change(deadline=NEVER), event_names.OF_STATE[archived.state])

    return decide


def deadline_after_restore(state: JobState) -> float | None:
    """Return the deadline, in seconds, of a record that is written back."""
    if state.is_ended:
        return NEVER
    return jobs_settings().LOST_AFTER if state is JobState.RUNNING else None


def require(record: Record, state: JobState, now: int) -> None:
    """Raise `JobEnded` if the job may not become that, `ClaimInProgress` while it is claimed."""
    if not record.state.may_become(state) or record.claimed_at:
        raise JobEnded(
            f"Job {record.id} is {record.state} and cannot become {state}; the first end wins."
        )
    _require_unleased(record, now)


def require_alive(record: Record, now: int, is_held: bool = False) -> Record:
    """Return the record if it may still be written to.

    A job that was given up as lost comes back to life if this process holds its attempt.
    """
    if record.state is JobState.LOST and is_held and not record.claimed_at:
        _require_unleased(record, now)
        return record.replace(state=JobState.RUNNING, ended_at=0, leased_until=0, leased_by="")
    if record.state is JobState.CANCELLED and is_held:
        raise JobCancelled(f"Job {record.id} was cancelled.")
    if record.state.is_ended:
        raise JobEnded(
            f"Job {record.id} has ended ({record.state}); nothing more can be written to it."
        )
    return record


def _ended(record: Record, state: JobState) -> Step:
    change = Change(stamp="ended_at", deadline=NEVER)
    return Step(record.replace(state=state), change, event_names.OF_STATE[state])


def _require_wanted(record: Record) -> None:
    if record.cancel_asked:
        raise JobCancelled(f"Job {record.id} was asked to stop.")


def _require_unleased(record: Record, now: int) -> None:
    """Refuse to change an outcome while it is being claimed; a dead claim's lease runs out."""
    if record.leased_until > now:
        raise ClaimInProgress(f"Job {record.id} is being claimed as {record.state}.")


def _require_lease(record: Record, token: str) -> None:
    if record.leased_by != token:
        raise JobEnded(f"Job {record.id}: the lease has run out and is another's.")
