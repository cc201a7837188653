"""How jobs ended, day by day, for the summary in the admin.

A day costs one query. It reads only an index, however many jobs there are.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from django.db.models import Count
from django.utils import timezone

from jobs.models import JobRecord
from jobs.states import ENDED, JobState

from .database_time import aware_time, database_time


class Day(NamedTuple):
    """How many jobs ended in each state on one day of the current time zone."""

    date: date
    counts: dict[JobState, int]

    @property
    def total(self) -> int:
        """How many ended in any state."""
        return sum(self.counts.values())


def last_days(number: int) -> Iterator[Day]:
    """Yield the last days, today first."""
    today = timezone.localdate(aware_time(timezone.now()))
    for days_ago in range(number):
        day = today - timedelta(days=days_ago)
        counts = _counts(_start(day), _start(day + timedelta(days=1)))
        yield Day(day, {state: counts.get(state, 0) for state in JobState if state in ENDED})


def _counts(start: datetime, end: datetime) -> dict[str, int]:
    ended = JobRecord.objects.filter(ended_at__gte=start, ended_at__lt=end)
    by_state = ended.values("state").annotate(number=Count("*"))
    return dict(by_state.values_list("state", "number"))


def _start(day: date) -> datetime:
    return database_time(timezone.make_aware(datetime.combine(day, time.min)))
