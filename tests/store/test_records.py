"""One script for each change of a record, by Redis's clock."""

import re

import pytest

from jobs.core.transitions import Change
from jobs.exceptions import StoreUnavailable
from jobs.states import JobState
from jobs.store import records, scripts
from jobs.store.client import client
from jobs.store.push import Push
from tests.factories import at_once, commands, eventually, hash_of

from .proxy import proxy_that_loses_answers
from .samples import KEY, NEW, created, redis_now


def test_a_record_is_read_as_it_was_written():
    record = created(NEW.replace(data={"x": "1"}), Change(stamp="created_at"))
    assert records.read("parcel-1").record == record
    assert record.version == record.created_at > 0


def test_an_unknown_job_has_no_record():
    assert records.read("parcel-1").record is None


def test_an_existing_job_is_not_created_again(redis_client):
    first = created()
    outcome = records.write(None, NEW.replace(owner="visitor:bob"), Change())
    assert not outcome.written and outcome.record == first
    assert records.read("parcel-1").record.owner == "visitor:ann"


def test_a_writer_with_an_old_version_gets_the_newest_and_writes_nothing(redis_client):
    old = created()
    newer = records.write(old, old.replace(note="first"), Change()).record
    before = hash_of(redis_client, "parcel-1")
    outcome = records.write(
        old, old.replace(note="second", tags=()), Change(stamp="ended_at", deadline=5)
    )
    assert not outcome.written and outcome.record == newer
    assert hash_of(redis_client, "parcel-1") == before


def test_a_job_that_redis_lost_is_not_written_to(redis_client):
    old = created()
    redis_client.flushall()
    outcome = records.write(old, old.replace(note="late"), Change())
    assert (outcome.written, outcome.record, redis_client.dbsize()) == (False, None, 0)


def test_one_of_several_simultaneous_writers_wins():
    old = created()
    results = at_once(
        [lambda n=n: records.write(old, old.replace(note=str(n)), Change()) for n in range(8)]
    )
    winners = [outcome for outcome in results if outcome.written]
    assert len(winners) == 1
    assert all(outcome.record == winners[0].record for outcome in results)
    assert records.read("parcel-1").record == winners[0].record


def test_each_version_is_greater_and_is_the_time_of_redis(redis_client):
    before = redis_now(redis_client)
    written = [created()]
    for n in range(200):
        old = written[-1]
        written.append(records.write(old, old.replace(note=str(n)), Change()).record)
    versions = [record.version for record in written]
    assert versions == sorted(set(versions))
    assert before <= versions[0] and versions[-1] <= redis_now(redis_client) + 200


def test_a_version_from_the_future_grows_by_one(redis_client):
    created()
    future = redis_now(redis_client) + 3_600_000_000
    redis_client.hset(KEY, "version", future)
    record = records.read("parcel-1").record
    assert records.write(record, record.replace(note="x"), Change()).record.version == future + 1


def test_a_rewritten_record_is_newer_than_the_lost_one(redis_client):
    seen = created().replace(version=redis_now(redis_client) + 3_600_000_000)
    redis_client.flushall()
    assert records.write(None, seen, Change()).record.version == seen.version + 1


def test_a_timestamp_is_the_time_of_its_write(redis_client):
    old = created()
    record = records.write(old, old, Change(stamp="ended_at")).record
    assert record.ended_at == record.version == records.read("parcel-1").record.ended_at


def test_a_deadline_counts_from_the_time_of_redis_and_0_removes_it(redis_client):
    old = created(change=Change(deadline=60))
    assert (
        abs(
            int(hash_of(redis_client, "parcel-1")["deadline"])
            - redis_now(redis_client)
            - 60_000_000
        )
        < 1_000_000
    )
    kept = records.write(old, old.replace(note="x"), Change()).record
    assert records.read("parcel-1").record.deadline > 0
    records.write(kept, kept, Change(deadline=0))
    assert records.read("parcel-1").record.deadline == 0


def test_only_a_write_that_expects_it_changes_an_overdue_job():
    old = created(change=Change(deadline=0.02))
    eventually(lambda: records.read("parcel-1").now > records.read("parcel-1").record.deadline)
    assert not records.write(old, old.replace(note="late"), Change()).written
    assert records.write(
        old, old.replace(state=JobState.EXPIRED), Change(deadline=0, overdue=True)
    ).written


def test_a_job_is_not_ended_before_its_deadline():
    old = created(change=Change(deadline=60))
    assert not records.write(
        old, old.replace(state=JobState.EXPIRED), Change(overdue=True)
    ).written


def test_every_write_renews_the_time_to_live(redis_client, settings):
    settings.JOBS = settings.JOBS | {"TTL": 100}
    old = created()
    assert 99 <= redis_client.ttl(KEY) <= 100
    settings.JOBS = settings.JOBS | {"TTL": 500}
    records.write(old, old.replace(note="x"), Change())
    assert 499 <= redis_client.ttl(KEY) <= 500


def test_one_script_writes_or_deletes_thousands_of_fields():
    many = {f"key {n}": str(n) for n in range(7000)}
    old = created(NEW.replace(data=many))
    assert records.read("parcel-1").record.data == many
    records.write(old, old.replace(data={}), Change())
    assert records.read("parcel-1").record.data == {}


def test_scripts_are_loaded_again_after_redis_forgot_them(redis_client):
    old = created()
    redis_client.script_flush()
    assert records.write(old, old.replace(state=JobState.RUNNING), Change()).written
    redis_client.script_flush()
    records.beat(["parcel-1"], 50)
    assert records.read("parcel-1").record.deadline > 0


def test_a_write_whose_answer_was_lost_is_not_done_twice(redis_client, settings):
    old = created()
    with proxy_that_loses_answers(redis_client) as (url, lost), redis_client.pubsub() as listener:
        listener.subscribe("heard")
        settings.JOBS = settings.JOBS | {"REDIS_URL": url}
        outcome = records.write(old, old.replace(note="once"), Change(), Push(["heard"], b"once"))
        assert len(lost) == 1
        assert outcome.written and outcome.record == records.read("parcel-1").record
        client().close()
        assert [listener.get_message(timeout=1)["type"] for _ in range(2)] == [
            "subscribe",
            "message",
        ]
        assert listener.get_message(timeout=0.05) is None


def test_a_heartbeat_moves_the_deadline_of_running_jobs_only(redis_client):
    for state in JobState:
        created(NEW.replace(id=state.value, state=state), Change(deadline=20))
    before = {state: records.read(state.value).record for state in JobState}
    records.beat([*JobState, "gone"], 50)
    later = {
        state
        for state in JobState
        if records.read(state.value).record.deadline > before[state].deadline
    }
    assert later == {JobState.RUNNING}
    running = records.read("running").record
    assert abs(running.deadline - redis_now(redis_client) - 50_000_000) < 1_000_000
    assert running.version == before[JobState.RUNNING].version and not redis_client.exists(
        "jobs:{gone}"
    )


def test_a_heartbeat_never_moves_a_deadline_back():
    created(NEW.replace(state=JobState.RUNNING), Change(deadline=100))
    before = records.read("parcel-1").record.deadline
    records.beat(["parcel-1"], 5)
    assert records.read("parcel-1").record.deadline == before


def test_many_jobs_are_read_in_one_round_trip(redis_client):
    for n in range(3):
        created(NEW.replace(id=f"parcel-{n}"))
    outcomes = records.read_all(["parcel-2", "gone", "parcel-0"])
    assert [outcome.record and outcome.record.id for outcome in outcomes] == [
        "parcel-2",
        None,
        "parcel-0",
    ]
    assert len({outcome.now for outcome in outcomes}) == 1
    assert records.read_all([]) == []


@pytest.mark.parametrize("damage", ["wrong type", "wrong fields"])
def test_a_damaged_job_does_not_hide_the_others(redis_client, caplog, damage):
    created()
    if damage == "wrong type":
        redis_client.rpush("jobs:{broken}", "a list")
    else:
        redis_client.hset("jobs:{broken}", "state", b"\xff\xfe")
    good, broken, gone = records.read_all(["parcel-1", "broken", "gone"])
    assert (good.record.state, broken.record.state, gone.record) == (
        JobState.PENDING,
        JobState.FAILED,
        None,
    )
    assert "job broken: damaged record" in caplog.text


def test_a_key_of_another_type_is_not_overwritten(redis_client):
    redis_client.rpush(KEY, "a list")
    with pytest.raises(StoreUnavailable):
        records.write(None, NEW, Change())
    assert redis_client.lrange(KEY, 0, -1) == [b"a list"]


def test_a_change_of_a_job_is_one_command(redis_client):
    old = created()
    assert commands(redis_client, lambda: records.write(old, old.replace(note="x"), Change())) == [
        "EVALSHA"
    ]


def test_no_command_scans_all_keys():
    store = scripts.LUA.parent
    sources = [file.read_text() for file in [*store.rglob("*.lua"), *store.glob("*.py")]]
    assert not re.search(
        r"(client|pipeline)(\(\))?\.(keys|scan|scan_iter)\(|'(KEYS|SCAN)'",
        "".join(sources),
        re.IGNORECASE,
    )
