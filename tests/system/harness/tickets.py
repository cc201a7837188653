"""Tickets for the socket; the test's process signs them, because every process here has one key."""

from jobs.access import ticket
from jobs.core.topics import job_topic


def ticket_for(job_id: str) -> str:
    """Return a ticket that allows its bearer to watch a job."""
    return ticket(job_topic(job_id))
