"""Writing ended jobs to the database: a database in trouble never keeps a job from ending."""

import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, transaction

from jobs.archive import writer
from jobs.archive.writer import archive, find_archived
from jobs.core.record import Record
from jobs.exceptions import StoreUnavailable
from jobs.models import JobRecord, JobRecordQuerySet
from jobs.states import JobState
from tests.factories import ended_job, eventually, started_job

pytestmark = pytest.mark.usefixtures("database_file")

ENDED = Record(
    "parcel-1", JobState.COMPLETE, version=3, handler_class="h", created_at=1, ended_at=3
)


@pytest.fixture
def broken_database():
    """Let the database refuse to archive, until the test undoes it."""

    def refuse(self, record):
        raise OperationalError("disk full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobRecordQuerySet, "store", refuse)
        yield patch


def test_an_ended_job_is_archived():
    assert archive(ENDED)
    assert find_archived("parcel-1") == ENDED


def test_a_job_that_was_never_archived_is_not_found():
    assert find_archived("parcel-1") is None


def test_a_full_database_lets_a_job_end_and_archives_it_later(
    broken_database, monkeypatch, caplog
):
    monkeypatch.setattr("jobs.runtime.backlog.RETRY_PAUSE", 0.01)
    job = ended_job()
    assert job.refresh().state is JobState.COMPLETE
    assert f"job {job.id}: could not be archived" in caplog.text
    assert not JobRecord.objects.exists()
    broken_database.undo()
    eventually(lambda: JobRecord.objects.filter(pk=job.id, state="complete").exists())
    eventually(lambda: "jobs-backlog" not in {thread.name for thread in threading.enumerate()})


def test_only_the_error_of_the_archive_is_logged(monkeypatch, caplog):
    def refuse(record):
        raise OSError("the disk is full")

    monkeypatch.setattr(writer, "archive_now", refuse)
    assert not archive(ENDED)
    assert "the disk is full" in caplog.text and "event loop" not in caplog.text


def test_an_unreadable_archive_is_logged_and_reported(monkeypatch, caplog):
    def refuse(*_args, **_kwargs):
        raise OperationalError("locked")

    monkeypatch.setattr(JobRecordQuerySet, "filter", refuse)
    with pytest.raises(StoreUnavailable, match="parcel-1"):
        find_archived("parcel-1")
    assert "job parcel-1: the archive could not be read" in caplog.text


def test_without_an_archive_nothing_is_written_or_read(settings):
    archive(ENDED)
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    assert not archive(ENDED.replace(id="parcel-2"))
    assert find_archived("parcel-1") is None
    assert [row.pk for row in JobRecord.objects.all()] == ["parcel-1"]


async def test_a_job_that_ends_inside_an_event_loop_is_archived():
    job = await sync_to_async(started_job)()
    job.complete()
    assert (await sync_to_async(find_archived)(job.id)).state is JobState.COMPLETE


def test_a_failed_write_does_not_spoil_the_task_s_own_transaction(monkeypatch):
    def break_the_connection(self, record):
        connection.cursor().execute("SELECT * FROM no_such_table")

    monkeypatch.setattr(JobRecordQuerySet, "store", break_the_connection)
    with transaction.atomic():
        assert not archive(ENDED)
        assert JobRecord.objects.count() == 0
