"""`manage.py sweep_jobs`: enforce the deadlines of jobs that nobody reads."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from jobs.exceptions import StoreUnavailable
from jobs.upkeep.sweep import sweep


class Command(BaseCommand):
    """Ends overdue jobs and archives ended ones. Optional; once a minute is often enough."""

    help = "End overdue jobs, and archive jobs that ended while the database was away."

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep once, and print the counts; exit 1 if some jobs could not be archived."""
        try:
            swept = sweep()
        except (StoreUnavailable, DatabaseError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{swept.alive} alive, {swept.ended} ended as overdue, {swept.archived} archived late."
        )
        if swept.unarchived:
            raise CommandError(f"{swept.unarchived} jobs could not be archived; the log says why.")
