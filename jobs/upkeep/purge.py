"""Deletes old jobs from the archive in batches, while everything else runs."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from jobs.archive.database_time import aware_time, database_time
from jobs.conf import jobs_settings
from jobs.models import JobRecord

SECONDS_PER_DAY = 86400


def least_days() -> float:
    """Return the number of days that the archive has to keep a job.

    Redis may hold the job that long. Without its row the job could be claimed a second time.
    """
    return jobs_settings().TTL / SECONDS_PER_DAY


def purge(days: float, batch_size: int) -> Iterator[int]:
    """Delete jobs that ended more than `days` ago, and yield the number of rows in each batch.

    Each batch is one statement that names its rows by primary key, so no lock is held for long.
    The purge may be stopped at any time, and several may run at once. Raises `ValueError` for
    fewer days than `least_days()`.
    """
    if days < least_days():
        raise ValueError(
            f"{days:g} days are too few. Redis keeps ended jobs for {least_days():g} days "
            "(JOBS['TTL']), so the archive has to keep them at least as long."
        )
    oldest = aware_time(timezone.now()) - timedelta(days=days)
    old = JobRecord.objects.filter(ended_at__lt=database_time(oldest)).order_by("ended_at")
    while ids := list(old.values_list("pk", flat=True)[:batch_size]):
        deleted, _by_model = JobRecord.objects.filter(pk__in=ids).delete()
        yield deleted
