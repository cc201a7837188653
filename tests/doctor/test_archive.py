"""The doctor's step about the database."""

from unittest.mock import MagicMock

import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from jobs.doctor import archive
from jobs.doctor.archive import try_archive
from jobs.doctor.step import StepFailed


class OwnDatabase:
    """A router that keeps the archive in a database of its own."""

    def db_for_write(self, model, **hints):
        return "jobs"


def test_an_archive_that_does_not_answer_fails(monkeypatch):
    def fail(connection):
        raise OperationalError("the disk is gone")

    monkeypatch.setattr(archive, "MigrationExecutor", fail)
    with pytest.raises(StepFailed, match="the disk is gone.*migrate"):
        try_archive()


def test_an_archive_that_is_off_is_fine(settings):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    assert try_archive().startswith("off")


@pytest.mark.usefixtures("database_file")
def test_missing_migrations_are_named():
    last = MigrationExecutor(connection).loader.graph.leaf_nodes("jobs")[0]
    MigrationRecorder(connection).record_unapplied(*last)
    with pytest.raises(StepFailed, match=rf"Not migrated: jobs\.{last[1]}.*manage.py migrate`"):
        try_archive()


def test_the_advice_names_the_archive_s_own_database(monkeypatch):
    executor = MagicMock()
    executor.migration_plan.return_value = [("jobs.0001_initial", False)]
    monkeypatch.setattr(archive, "router", OwnDatabase())
    monkeypatch.setattr(archive, "connections", databases := MagicMock())
    monkeypatch.setattr(archive, "MigrationExecutor", lambda connection: executor)
    with pytest.raises(StepFailed, match="migrate --database jobs`"):
        try_archive()
    databases.__getitem__.assert_called_once_with("jobs")
