"""The purge: old rows go, in batches, and never one that still guards a job."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import JobRecord
from jobs.upkeep.purge import least_days, purge

pytestmark = pytest.mark.django_db


def archived(*ages):
    """Make a row for each age in days."""
    now = timezone.now()
    ends = [now - timedelta(days=age) for age in ages]
    rows = [
        JobRecord(
            pk=f"parcel-{n}",
            version=1,
            created_at=now,
            ended_at=ended_at,
            state="complete",
            stored={},
        )
        for n, ended_at in enumerate(ends)
    ]
    JobRecord.objects.bulk_create(rows)


def left():
    return sorted(JobRecord.objects.values_list("pk", flat=True))


def test_what_ended_longer_ago_is_deleted():
    archived(1, 29, 31, 300)
    assert sum(purge(30, 1000)) == 2
    assert left() == ["parcel-0", "parcel-1"]


def test_it_is_deleted_in_batches_the_oldest_first(django_assert_num_queries):
    archived(31, 33, 35, 37, 39)
    batches = purge(30, 2)
    assert next(batches) == 2
    assert left() == ["parcel-0", "parcel-1", "parcel-2"]
    with django_assert_num_queries(
        5
    ):  # two batches of two statements, and a look that finds nothing
        assert list(batches) == [2, 1]


def test_the_rows_that_others_have_deleted_meanwhile_are_not_counted():
    archived(31, 32)
    batches = purge(30, 1)
    assert next(batches) == 1
    JobRecord.objects.all().delete()
    assert list(batches) == []


def test_the_large_column_is_not_read(django_assert_num_queries):
    archived(31)
    with django_assert_num_queries(3) as queries:
        list(purge(30, 10))
    assert not any("stored" in query["sql"] for query in queries.captured_queries)


def test_a_row_stays_as_long_as_redis_may_hold_its_job(settings):
    settings.JOBS = settings.JOBS | {"TTL": 5 * 86400}
    assert least_days() == 5
    with pytest.raises(ValueError, match="TTL"):
        next(purge(4.9, 10))
    archived(4, 6)
    assert sum(purge(5, 10)) == 1
