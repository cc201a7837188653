"""Step: the database that keeps ended jobs answers and is migrated."""

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor

from jobs.archive import server
from jobs.conf import jobs_settings
from jobs.models import JobRecord

from .step import StepFailed, bounded


def try_archive() -> str:
    """Read from the archive, unless it is turned off."""
    if not jobs_settings().ARCHIVE:
        return "off (JOBS['ARCHIVE']): on_ready is guarded by Redis alone"
    try:
        missing = bounded(_missing_migrations)
    except (DatabaseError, TimeoutError) as error:
        text = f"The database does not answer: {error or 'it hangs'}."
        raise StepFailed(text, "Start it, or run `manage.py migrate`.") from error
    if missing:
        text = f"Not migrated: {', '.join(missing)}."
        raise StepFailed(text, f"Run `manage.py migrate{_database_option()}`.")
    return "the database answers, and has all migrations"


def _missing_migrations() -> list[str]:
    """Read from the archive, and return our migrations that the database has not had."""
    try:
        executor = MigrationExecutor(connections[router.db_for_write(JobRecord)])
        targets = executor.loader.graph.leaf_nodes(JobRecord._meta.app_label)
        plan = executor.migration_plan(targets)
        if not plan:
            server.ping()
        return [str(migration) for migration, _is_backwards in plan]
    finally:
        connections.close_all()


def _database_option() -> str:
    alias = router.db_for_write(JobRecord)
    return "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"
