"""The state of the database that holds the archive, for health checks and the doctor."""

from jobs.models import JobRecord


def ping() -> None:
    """Read from the archive; raises `DatabaseError` if that fails."""
    JobRecord.objects.exists()
