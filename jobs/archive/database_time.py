"""Converts moments to what the database holds: naive local times if `USE_TZ = False`, else aware.

Everywhere else a moment is aware. With `USE_TZ = False`, the hour that repeats when summer time
ends is ambiguous in the database, as for every Django model. Equal moments are stored equal.
"""

from datetime import UTC, datetime

from django.conf import settings
from django.utils import timezone


def database_time(moment: datetime) -> datetime:
    """Convert an aware moment to the form that queries and columns take."""
    if settings.USE_TZ:
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())


def aware_time(stored: datetime) -> datetime:
    """Convert a moment from a column, or from `timezone.now()`, to an aware one in UTC."""
    if timezone.is_naive(stored):
        stored = timezone.make_aware(stored, timezone.get_default_timezone())
    return stored.astimezone(UTC)


def seconds_between(start: datetime, end: datetime) -> float:
    """Return the seconds from one stored moment to a later one.

    A naive end that is before its start lies in the second run of the repeated hour.
    """
    if timezone.is_naive(end) and end < start:
        end = end.replace(fold=1)
    return (aware_time(end) - aware_time(start)).total_seconds()
