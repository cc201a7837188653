"""What the archive tells of the past: how jobs ended, day by day. For the admin's summary.

A day costs one read of an index that holds all that is asked for, however many jobs there are.
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
    """How the jobs ended that ended on one day of the current time zone."""

    date: date
    counts: dict[JobState, int]

    @property
    def total(self) -> int:
        """How many ended in any way."""
        return sum(self.counts.values())


def last_days(number: int) -> Iterator[Day]:
    """Yield so many days, today first."""
    today = timezone.localdate(aware_time(timezone.now()))
    for n in range(number):
        day = today - timedelta(days=n)
        ended = JobRecord.objects.filter(
            ended_at__gte=_start(day), ended_at__lt=_start(day + timedelta(days=1))
        )
        found = dict(
            ended.values("state").annotate(number=Count("*")).values_list("state", "number")
        )
        yield Day(day, {state: found.get(state.value, 0) for state in JobState if state in ENDED})


def _start(day: date) -> datetime:
    return database_time(timezone.make_aware(datetime.combine(day, time.min)))
