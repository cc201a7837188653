"""The link to Redis: one client for all threads, and one connection that is kept for scripts."""

import pytest

from jobs.runtime.per_process import forget_all
from jobs.store import records
from jobs.store.client import client
from jobs.store.kept_connection import kept_connection
from jobs.store.records import Change
from tests.factories import at_once, create_job


def test_threads_that_use_the_store_for_the_first_time_at_once_share_one_client():
    job = create_job()
    for _ in range(30):
        forget_all()
        outcomes = at_once([lambda: records.read(job.id)] * 8)
        assert {outcome.record.version for outcome in outcomes} == {job.version}
        assert len(set(at_once([client] * 8))) == 1


def connections(redis_client):
    return redis_client.info("stats")["total_connections_received"]


def write(old, note):
    outcome = records.write(old, old.replace(note=note), Change())
    assert outcome.written
    return outcome.record


def test_scripts_go_over_one_connection_that_is_kept(redis_client):
    record = write(create_job().record, "first")
    before = connections(redis_client)
    for n in range(20):
        record = write(record, str(n))
    assert connections(redis_client) == before
    assert kept_connection().connection not in client().connection_pool.pool.queue


def test_who_comes_while_it_is_in_use_does_not_wait_for_it():
    record = write(create_job().record, "first")
    with kept_connection().in_use:
        assert write(record, "second").note == "second"


def test_a_kept_connection_that_was_closed_meanwhile_costs_nobody_a_write(redis_client):
    record = write(create_job().record, "first")
    for _ in range(2):
        redis_client.client_kill_filter(_type="normal", skipme=True)
        record = write(record, "again")


def test_an_interrupted_call_leaves_no_answer_for_the_next(monkeypatch):
    record = write(create_job().record, "first")
    kept = kept_connection().connection
    with monkeypatch.context() as patch:
        patch.setattr(kept, "read_response", interrupt)
        with pytest.raises(KeyboardInterrupt):
            records.write(record, record.replace(note="second"), Change())
    found = records.read(record.id).record
    assert found.note == "second"  # it was sent, only nobody has read the answer
    assert write(found, "third").note == "third"


def interrupt(*args, **kwargs):
    """Stand for a task's soft time limit, which a signal raises anywhere."""
    raise KeyboardInterrupt
