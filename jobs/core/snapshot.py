"""A job as it was when it was read. Nothing here does any I/O."""

from __future__ import annotations

import math
from datetime import datetime
from functools import cached_property
from time import monotonic
from typing import NamedTuple

from jobs.states import JobState

from . import clock, topics
from .app_label import url_of
from .data import SnapshotData
from .record import Record, local_path

LONGEST_ESTIMATE = 100 * 365 * 86400  # seconds


class Progress(NamedTuple):
    """How far a job has come.

    `percent` is None without a total, and 100 only when the job is complete.
    """

    current: float
    total: float | None
    percent: int | None
    message: str


class JobSnapshot:
    """The readable side of a job.

    Times are aware and in UTC; None means that it has not happened.
    """

    def __init__(self, record: Record, now: int = 0) -> None:
        self.update(record, now)

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}>"

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def state(self) -> JobState:
        return self.record.state

    @property
    def version(self) -> int:
        """Microseconds of Redis's clock at the last change; grows with each."""
        return self.record.version

    @property
    def error(self) -> str:
        """The text about a failure that the owner sees, never that of an unexpected exception."""
        return self.record.error

    @property
    def attempt(self) -> int:
        """The number of times that a worker has started it."""
        return self.record.attempt

    @property
    def owner(self) -> str:
        return self.record.owner

    @property
    def tags(self) -> tuple[str, ...]:
        return self.record.tags

    @cached_property
    def topics(self) -> list[str]:
        """Every topic on which its events are sent."""
        return topics.topics_of(self.id, self.owner, self.tags)

    @property
    def language(self) -> str:
        """The language that was active at `create`."""
        return self.record.language

    @property
    def handler_class(self) -> str:
        return self.record.handler_class

    @property
    def is_ended(self) -> bool:
        return self.record.state.is_ended

    @property
    def is_cancel_asked(self) -> bool:
        """Whether somebody asked the running task to stop."""
        return self.record.cancel_asked

    @property
    def created_at(self) -> datetime | None:
        return _time(self.record.created_at)

    @property
    def started_at(self) -> datetime | None:
        return _time(self.record.started_at)

    @property
    def ended_at(self) -> datetime | None:
        return _time(self.record.ended_at)

    @property
    def retry_at(self) -> datetime | None:
        """When the next attempt is due, while the job is retrying."""
        return _time(self.record.retry_at) if self.state is JobState.RETRYING else None

    @property
    def max_attempts(self) -> int | None:
        """How many attempts there can be, if the task says so."""
        return self.record.max_attempts or None

    @property
    def claimed_url(self) -> str:
        """Where the owner was sent on to, once the job has been claimed."""
        return self.record.claimed_url

    @cached_property
    def data(self) -> SnapshotData:
        """The metadata that the task and its starter have given it."""
        return SnapshotData(lambda: self.record.data)

    @property
    def progress(self) -> Progress:
        return progress_of(self.record)

    @property
    def eta_seconds(self) -> int | None:
        """Seconds to go at the present rate, if there is a total and some of it is done."""
        record = self.record
        if (
            record.state is not JobState.RUNNING
            or not record.total
            or not record.current
            or not record.started_at
        ):
            return None
        elapsed = max(0, self.now - record.started_at) / 1_000_000
        seconds = elapsed * max(0.0, record.total - record.current) / record.current
        return math.ceil(seconds) if seconds < LONGEST_ESTIMATE else None

    @property
    def now(self) -> int:
        """Redis's clock in microseconds, estimated from when the job was read."""
        return self._known_at + int((monotonic() - self._known_since) * 1_000_000)

    @property
    def is_archived(self) -> bool:
        """Whether it was read from the archive, where Redis's clock cannot be read."""
        return self._known_at == self.record.version

    @property
    def is_overdue(self) -> bool:
        return 0 < self.record.deadline <= self.now and not self.is_ended

    def get_absolute_url(self) -> str:
        """Return the address of the waiting page."""
        return self.record.path or local_path(url_of("detail", self.id)) or "/"

    def update(self, record: Record, now: int = 0) -> None:
        """Take a newer record, as it was at this time of Redis's clock."""
        self.record = record
        self._known_at = now or record.version
        self._known_since = monotonic()


def progress_of(record: Record) -> Progress:
    """Return how far a stored job has come."""
    return Progress(record.current, record.total, _percent(record), record.note)


def _time(microseconds: int) -> datetime | None:
    return clock.to_datetime(microseconds) if microseconds else None


def _percent(record: Record) -> int | None:
    if record.state is JobState.COMPLETE:
        return 100
    if not record.total:
        return None
    return math.floor(max(0, min(99, 100 * record.current / record.total)))
