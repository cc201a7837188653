"""The states of a job and the one table of what may follow what; used in Redis, rows, frames, CSS and tests."""

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class JobState(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LOST = "lost"

    @property
    def is_ended(self) -> bool:
        """Say whether nothing more is expected to happen."""
        return self not in ALIVE

    @property
    def label(self) -> Promise:
        """Name the state in a person's words."""
        return LABELS[self]

    def may_become(self, state: "JobState") -> bool:
        """Look the transition up in the table."""
        return state in TRANSITIONS[self]


ALIVE = frozenset({JobState.PENDING, JobState.RUNNING, JobState.RETRYING})
ENDED = frozenset(JobState) - ALIVE

# The first ended state wins. `lost` is a guess about a silent worker: it alone may be corrected, until it is claimed.
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.PENDING: ENDED | {JobState.RUNNING},
    JobState.RUNNING: ENDED | {JobState.RUNNING, JobState.RETRYING},
    JobState.RETRYING: ENDED | {JobState.RUNNING},
    JobState.LOST: (ENDED | {JobState.RUNNING, JobState.RETRYING}) - {JobState.LOST},
    JobState.COMPLETE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.EXPIRED: frozenset(),
}

LABELS: dict[JobState, Promise] = {
    JobState.PENDING: _("Waiting for a worker"),
    JobState.RUNNING: _("Working on it"),
    JobState.RETRYING: _("Trying again soon"),
    JobState.COMPLETE: _("Ready"),
    JobState.FAILED: _("It did not work"),
    JobState.CANCELLED: _("Cancelled"),
    JobState.EXPIRED: _("Not started in time"),
    JobState.LOST: _("The connection to the worker was lost"),
}
