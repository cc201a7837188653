"""The states of a job, their words, and the table of allowed transitions.

Redis, database rows, frames, CSS classes and tests use the same names. To add a state, add one
line to `JobState`. `tests/test_states.py` then names every other place that has to follow.
"""

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class JobState(StrEnum):
    """Where a job is in its life.

    Each line holds the state's name, its label for lists and the admin, and its status for the
    pages, which speak to the person who waits.
    """

    label: Promise
    status: Promise

    def __new__(cls, name: str, *words: Promise) -> "JobState":
        """Make a state of one line below."""
        state = str.__new__(cls, name)
        state._value_ = name
        state.label, state.status = words
        return state

    PENDING = "pending", _("Waiting for a worker"), _("Waiting for a worker")
    RUNNING = "running", _("Working on it"), _("Working")
    RETRYING = "retrying", _("Trying again soon"), _("Trying again soon")
    COMPLETE = "complete", _("Ready"), _("Ready")
    FAILED = "failed", _("It did not work"), _("That did not work")
    CANCELLED = "cancelled", _("Cancelled"), _("Cancelled")
    EXPIRED = "expired", _("Not started in time"), _("Not started in time")
    LOST = "lost", _("The connection to the worker was lost"), _("Stopped unexpectedly")

    @property
    def is_ended(self) -> bool:
        """Return whether nothing more is expected to happen."""
        return self not in ALIVE

    def may_become(self, state: "JobState") -> bool:
        """Return whether the table allows this transition."""
        return state in TRANSITIONS[self]


ALIVE = frozenset({JobState.PENDING, JobState.RUNNING, JobState.RETRYING})
ENDED = frozenset(JobState) - ALIVE

# The first ended state wins. Only `lost` may be corrected, until somebody claims the job, because
# `lost` is a guess about a silent worker.
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
