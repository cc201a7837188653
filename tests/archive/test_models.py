"""The rows of the archive: jobs that have ended, as they were in Redis."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from jobs.core.record import Record
from jobs.models import JobRecord
from jobs.states import JobState

pytestmark = pytest.mark.django_db

NOON = 1_793_534_400_000_000
ENDED = Record(
    "parcel-1",
    JobState.FAILED,
    version=NOON + 9,
    handler_class="tests.handlers.PostHandler",
    owner="visitor:ann",
    tags=("post",),
    error="too heavy",
    created_at=NOON,
    started_at=NOON + 5,
    ended_at=NOON + 9,
    data={"parcel": '"books \\u0000\\ud800"'},
)


def archived(**values):
    JobRecord.objects.store(ENDED.replace(**values))
    return JobRecord.objects.get(pk=values.get("id", "parcel-1"))


def test_a_job_comes_out_of_the_archive_unchanged():
    assert archived().to_record() == ENDED


def test_queried_values_have_columns_of_their_own():
    row = archived()
    assert (row.state, row.owner, row.handler_class) == (
        "failed",
        "visitor:ann",
        "tests.handlers.PostHandler",
    )
    assert row.created_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert (row.started_at - row.created_at).microseconds == 5 and (
        row.ended_at - row.created_at
    ).microseconds == 9
    assert str(row) == "parcel-1 (failed)"


def test_a_job_that_never_started_has_no_start():
    assert archived(started_at=0).started_at is None


def test_archiving_a_job_twice_makes_one_row():
    archived()
    archived()
    assert JobRecord.objects.count() == 1


def test_a_later_outcome_replaces_lost():
    archived(state=JobState.LOST)
    assert (
        archived(state=JobState.COMPLETE, version=NOON + 10).to_record().state is JobState.COMPLETE
    )


def test_an_older_outcome_that_arrives_late_changes_nothing():
    archived()
    assert archived(state=JobState.LOST, version=NOON + 8).state == "failed"
    assert archived(state=JobState.LOST, version=NOON + 9).state == "failed"


def test_a_claimed_outcome_stays():
    archived(state=JobState.LOST)
    JobRecord.objects.update(claimed_at=timezone.now(), claimed_url="/lost/")
    row = archived(state=JobState.COMPLETE, version=NOON + 10)
    assert (row.state, row.claimed_url) == ("lost", "/lost/")


def test_an_archived_job_knows_its_claim():
    archived()
    moment = datetime(2026, 11, 1, 12, 0, 1, 234567, tzinfo=UTC)
    JobRecord.objects.update(claimed_at=moment, claimed_url="/parcels/")
    record = JobRecord.objects.get().to_record()
    assert (record.claimed_at, record.claimed_url) == (NOON + 1_234_567, "/parcels/")


def test_an_owner_s_jobs_are_listed_newest_first():
    archived()
    archived(id="parcel-2", created_at=NOON + 1)
    archived(id="parcel-3", owner="visitor:bob")
    assert [row.pk for row in JobRecord.objects.of_owner("visitor:ann")] == [
        "parcel-2",
        "parcel-1",
    ]


def test_a_name_too_long_for_its_column_stays_whole_in_the_record():
    path = "shop.handlers." + "Long" * 100
    row = archived(handler_class=path)
    assert len(row.handler_class) == 255
    assert row.to_record().handler_class == path


def test_a_damaged_row_is_read_as_a_failed_job():
    archived()
    JobRecord.objects.update(stored={"state": "complete", "version": "x"})
    assert JobRecord.objects.get().to_record().state is JobState.FAILED


def test_the_permission_to_watch_every_job_is_declared():
    assert ("view_job", "Can watch every job") in JobRecord._meta.permissions


def test_migrations_match_the_models():
    from django.core.management import call_command

    call_command("makemigrations", "jobs", check=True, dry_run=True, verbosity=0)
