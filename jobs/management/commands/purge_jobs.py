"""`manage.py purge_jobs`: delete old jobs from the archive."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.conf import jobs_settings
from jobs.upkeep.purge import purge


class Command(BaseCommand):
    """Deletes jobs that ended long ago. It may run, and be stopped, at any time."""

    help = (
        "Delete jobs that ended more than JOBS['ARCHIVE_DAYS'] ago from the archive, in batches."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the age and the size of a batch."""
        days = jobs_settings().ARCHIVE_DAYS
        parser.add_argument(
            "--days", type=float, default=days, help=f"keep younger jobs (default: {days})"
        )
        parser.add_argument(
            "--batch", type=int, default=1000, help="rows per statement (default: 1000)"
        )

    def handle(self, *args: Any, days: float, batch: int, **options: Any) -> None:
        """Delete the jobs, and print how many."""
        if batch < 1:
            raise CommandError(f"--batch is {batch}; give at least 1.")
        try:
            deleted = sum(purge(days, batch))
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{deleted} jobs deleted that ended more than {days:g} days ago.")
