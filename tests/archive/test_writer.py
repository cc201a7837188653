"""What follows a transition: archive, then signal; and nothing of it can hurt the job."""

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, transaction

from jobs import signals
from jobs.archive import writer
from jobs.archive.writer import announce_ended, archive, find_archived
from jobs.core.record import Record
from jobs.exceptions import StoreUnavailable
from jobs.models import JobRecord, JobRecordQuerySet
from jobs.runtime.backlog import archive_backlog
from jobs.states import JobState
from tests.factories import create_job, ended_job, eventually, started_job
from tests.surroundings import database_file  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("database_file")

ENDED = Record(
    "parcel-1", JobState.COMPLETE, version=3, handler_class="h", created_at=1, ended_at=3
)


@pytest.fixture
def hear():
    """Return a function that connects a receiver for the length of the test."""
    connected = []

    def connect(signal, receiver):
        signal.connect(receiver)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


@pytest.fixture
def broken_database():
    """Let the database refuse to archive, until it is undone."""

    def refuse(self, record):
        raise OperationalError("disk full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobRecordQuerySet, "store", refuse)
        yield patch


def test_an_ended_job_is_archived():
    assert archive(ENDED)
    assert find_archived("parcel-1") == ENDED


def test_what_is_not_in_the_archive_is_not_found():
    assert find_archived("parcel-1") is None


def test_a_job_is_archived_before_the_listeners_hear_of_its_end(hear):
    found = []
    hear(signals.job_ended, lambda job, **_: found.append(JobRecord.objects.get(pk=job.id).state))
    ended_job()
    assert found == ["complete"]


def test_listeners_hear_of_creation_start_and_end(hear):
    heard = []
    for name in ("job_created", "job_started", "job_ended"):
        hear(
            getattr(signals, name),
            lambda job, name=name, **_: heard.append((name, job.state.value)),
        )
    job = create_job()
    job.start()
    job.fail("no")
    assert heard == [
        ("job_created", "pending"),
        ("job_started", "running"),
        ("job_ended", "failed"),
    ]


def test_a_listener_that_raises_is_logged_and_the_others_hear_all_the_same(hear, caplog):
    heard = []

    def stumble(**_):
        raise RuntimeError("not my day")

    hear(signals.job_ended, stumble)
    hear(signals.job_ended, lambda job, **_: heard.append(job.id))
    job = ended_job()
    assert heard == [job.id] and job.state is JobState.COMPLETE
    assert f"job {job.id}: " in caplog.text and "not my day" in caplog.text


def test_a_database_that_is_full_does_not_keep_a_job_from_ending_and_archives_it_later(
    broken_database, monkeypatch, caplog
):
    monkeypatch.setattr("jobs.runtime.backlog.RETRY_PAUSE", 0.01)
    job = ended_job()
    assert job.refresh().state is JobState.COMPLETE
    assert f"job {job.id}: could not be archived" in caplog.text
    assert not JobRecord.objects.exists()
    broken_database.undo()
    eventually(lambda: JobRecord.objects.filter(pk=job.id, state="complete").exists())
    eventually(lambda: not archive_backlog()._is_running)


def test_an_archiving_error_is_logged_without_one_that_has_nothing_to_do_with_it(
    monkeypatch, caplog
):
    def refuse(record):
        raise OSError("the disk is full")

    monkeypatch.setattr(writer, "archive_now", refuse)
    assert not archive(ENDED)
    assert "the disk is full" in caplog.text and "event loop" not in caplog.text


def test_a_database_that_cannot_be_read_is_logged(monkeypatch, caplog):
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


async def test_a_job_can_end_inside_a_running_loop(hear):
    heard = []
    hear(
        signals.job_ended,
        lambda job, **_: heard.append(JobRecord.objects.filter(pk=job.id).exists()),
    )
    job = await sync_to_async(started_job)()
    job.complete()
    assert heard == [True]
    assert (await sync_to_async(find_archived)(job.id)).state is JobState.COMPLETE


def test_a_failed_write_to_the_archive_does_not_spoil_the_task_s_own_transaction(monkeypatch):
    def break_the_connection(self, record):
        connection.cursor().execute("SELECT * FROM no_such_table")

    monkeypatch.setattr(JobRecordQuerySet, "store", break_the_connection)
    with transaction.atomic():
        assert not archive(ENDED)
        assert JobRecord.objects.count() == 0


def test_without_listeners_the_end_is_only_archived():
    job = ended_job()
    JobRecord.objects.all().delete()
    announce_ended(job)
    assert JobRecord.objects.filter(pk=job.id).exists()
