"""Tickets for the socket, signed in the test's process: all processes here share one key."""

from jobs.access import ticket
from jobs.core.topics import job_topic


def ticket_for(job_id: str) -> str:
    """Return a ticket that allows its bearer to watch a job."""
    return ticket(job_topic(job_id))
