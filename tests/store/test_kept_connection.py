"""Scripts go over one connection that the process keeps."""

import pytest

from jobs.core.transitions import Change
from jobs.store import records
from jobs.store.client import client
from jobs.store.kept_connection import kept_connection
from tests.factories import create_job


def connections(redis_client):
    return redis_client.info("stats")["total_connections_received"]


def write(old, note):
    outcome = records.write(old, old.replace(note=note), Change())
    assert outcome.written
    return outcome.record


def test_all_scripts_use_the_same_connection(redis_client):
    record = write(create_job().record, "first")
    before = connections(redis_client)
    for n in range(20):
        record = write(record, str(n))
    assert connections(redis_client) == before
    assert kept_connection().connection not in client().connection_pool.pool.queue


def test_a_caller_does_not_wait_while_the_kept_connection_is_in_use():
    record = write(create_job().record, "first")
    with kept_connection().in_use:
        assert write(record, "second").note == "second"


def test_a_write_succeeds_after_redis_closed_the_kept_connection(redis_client):
    record = write(create_job().record, "first")
    for _ in range(2):
        redis_client.client_kill_filter(_type="normal", skipme=True)
        record = write(record, "again")


def test_an_interrupted_call_does_not_leave_its_answer_to_the_next(monkeypatch):
    record = write(create_job().record, "first")
    kept = kept_connection().connection
    with monkeypatch.context() as patch:
        patch.setattr(kept, "read_response", interrupt)
        with pytest.raises(KeyboardInterrupt):
            records.write(record, record.replace(note="second"), Change())
    found = records.read(record.id).record
    assert found.note == "second"  # it was written, although nobody has read the answer
    assert write(found, "third").note == "third"


def interrupt(*args, **kwargs):
    """Raise as a task's soft time limit does: a signal can raise it anywhere."""
    raise KeyboardInterrupt
