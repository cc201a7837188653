"""A record that many tests of the store begin with."""

from jobs.core.record import Record
from jobs.core.transitions import Change
from jobs.store import records

NEW = Record(
    "parcel-1", handler_class="tests.handlers.PostHandler", owner="visitor:ann", tags=("post",)
)
KEY = "jobs:{parcel-1}"


def created(record=NEW, change=None):
    """Store a record, and return it as it was stored."""
    outcome = records.write(None, record, change or Change())
    assert outcome.written
    return outcome.record


def redis_now(redis_client):
    seconds, microseconds = redis_client.time()
    return seconds * 1_000_000 + microseconds
