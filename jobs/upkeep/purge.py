"""How long the archive keeps what has ended: deleted by an explicit command, in batches, while everything runs."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from jobs.archive.database_time import aware_time, database_time
from jobs.conf import jobs_settings
from jobs.models import JobRecord

DAY = 86400  # seconds


def least_days() -> float:
    """Return how many days the archive has to keep: Redis may still hold those jobs, and the archive guards them.

    Without its row a job that Redis holds could be claimed a second time.
    """
    return jobs_settings().TTL / DAY


def purge(days: float, batch: int) -> Iterator[int]:
    """Delete what ended more than so many days ago, and yield the number of each batch.

    Each batch is a statement of its own that names its rows by primary key, so no lock is held for long; the purge may
    be stopped at any time, and several may run at once. Raises `ValueError` for fewer days than `least_days()`.
    """
    if days < least_days():
        raise ValueError(
            f"Redis holds ended jobs for {least_days():g} days (JOBS['TTL']); keep them at least as long."
        )
    oldest = aware_time(timezone.now()) - timedelta(days=days)
    old = JobRecord.objects.filter(ended_at__lt=database_time(oldest)).order_by("ended_at")
    while ids := list(old.values_list("pk", flat=True)[:batch]):
        deleted, _by_model = JobRecord.objects.filter(pk__in=ids).delete()
        yield deleted
