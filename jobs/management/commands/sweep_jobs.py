"""`manage.py sweep_jobs`: enforce the deadlines of jobs that nobody looks at."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from jobs.exceptions import StoreUnavailable
from jobs.upkeep.sweep import sweep


class Command(BaseCommand):
    """Ends what is overdue and archives what has ended; run it every minute or so, if at all."""

    help = (
        "End jobs whose deadline has passed, and archive what ended while the database was away."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep once, and say what there was to do; exit 1 if some of it could not be done."""
        try:
            swept = sweep()
        except (StoreUnavailable, DatabaseError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{swept.alive} alive, {swept.ended} ended as overdue, {swept.archived} archived late."
        )
        if swept.unarchived:
            raise CommandError(f"{swept.unarchived} jobs could not be archived; the log says why.")
