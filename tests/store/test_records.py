"""The store: one script per change, Redis's clock, and errors of our own when Redis does not do its work."""

import asyncio
import json
import re
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
import redis
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.core import clock
from jobs.core.record import MAX_VERSION, Record
from jobs.exceptions import StoreUnavailable
from jobs.states import JobState
from jobs.store import connection, indexes, keys, reader, records, scripts, server
from jobs.store.client import client
from jobs.store.push import Push
from jobs.store.records import Change
from tests.bench.trips import counted_trips
from tests.factories import NOWHERE, at_once, commands, eventually, hash_of

NEW = Record(
    "parcel-1", handler_class="tests.handlers.PostHandler", owner="visitor:ann", tags=("post",)
)
KEY = "jobs:{parcel-1}"


def created(record=NEW, change=None):
    """Return a record as it has been stored."""
    outcome = records.write(None, record, change or Change())
    assert outcome.written
    return outcome.record


def redis_now(redis_client):
    seconds, microseconds = redis_client.time()
    return seconds * 1_000_000 + microseconds


def test_what_is_written_is_what_is_read():
    record = created(NEW.replace(data={"x": "1"}), Change(stamp="created_at"))
    assert records.read("parcel-1").record == record
    assert record.version == record.created_at > 0


def test_there_is_nothing_to_read_of_an_unknown_job():
    assert records.read("parcel-1").record is None


def test_a_job_that_is_there_is_not_created_again(redis_client):
    first = created()
    outcome = records.write(None, NEW.replace(owner="visitor:bob"), Change())
    assert not outcome.written and outcome.record == first
    assert records.read("parcel-1").record.owner == "visitor:ann"


def test_who_has_not_seen_the_last_version_writes_nothing_and_learns_it(redis_client):
    old = created()
    newer = records.write(old, old.replace(note="first"), Change()).record
    before = hash_of(redis_client, "parcel-1")
    outcome = records.write(
        old, old.replace(note="second", tags=()), Change(stamp="ended_at", deadline=5)
    )
    assert not outcome.written and outcome.record == newer
    assert hash_of(redis_client, "parcel-1") == before


def test_a_job_that_is_gone_is_not_written_to(redis_client):
    old = created()
    redis_client.flushall()
    outcome = records.write(old, old.replace(note="late"), Change())
    assert (outcome.written, outcome.record, redis_client.dbsize()) == (False, None, 0)


def test_of_many_writers_who_have_seen_the_same_version_one_wins():
    old = created()
    results = at_once(
        [lambda n=n: records.write(old, old.replace(note=str(n)), Change()) for n in range(8)]
    )
    winners = [outcome for outcome in results if outcome.written]
    assert len(winners) == 1
    assert all(outcome.record == winners[0].record for outcome in results)
    assert records.read("parcel-1").record == winners[0].record


def test_versions_grow_strictly_and_are_redis_s_time(redis_client):
    before = redis_now(redis_client)
    written = [created()]
    for n in range(200):
        old = written[-1]
        written.append(records.write(old, old.replace(note=str(n)), Change()).record)
    versions = [record.version for record in written]
    assert versions == sorted(set(versions))
    assert before <= versions[0] and versions[-1] <= redis_now(redis_client) + 200


def test_a_version_from_the_future_is_outgrown_by_one(redis_client):
    created()
    future = redis_now(redis_client) + 3_600_000_000
    redis_client.hset(KEY, "version", future)
    record = records.read("parcel-1").record
    assert records.write(record, record.replace(note="x"), Change()).record.version == future + 1


def test_a_record_that_is_written_anew_is_newer_than_what_was_seen_of_it(redis_client):
    seen = created().replace(version=redis_now(redis_client) + 3_600_000_000)
    redis_client.flushall()
    assert records.write(None, seen, Change()).record.version == seen.version + 1


def test_a_stamp_is_the_moment_of_the_write(redis_client):
    old = created()
    record = records.write(old, old, Change(stamp="ended_at")).record
    assert record.ended_at == record.version == records.read("parcel-1").record.ended_at


def test_a_deadline_counts_from_redis_s_now_and_0_removes_it(redis_client):
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


def test_nobody_but_who_settles_it_writes_to_an_overdue_job():
    old = created(change=Change(deadline=0.02))
    eventually(lambda: records.read("parcel-1").now > records.read("parcel-1").record.deadline)
    assert not records.write(old, old.replace(note="late"), Change()).written
    assert records.write(
        old, old.replace(state=JobState.EXPIRED), Change(deadline=0, overdue=True)
    ).written


def test_a_job_is_not_settled_before_its_time():
    old = created(change=Change(deadline=60))
    assert not records.write(
        old, old.replace(state=JobState.EXPIRED), Change(overdue=True)
    ).written


def test_the_time_to_live_is_set_and_set_again_by_every_write(redis_client, settings):
    settings.JOBS = settings.JOBS | {"TTL": 100}
    old = created()
    assert 99 <= redis_client.ttl(KEY) <= 100
    settings.JOBS = settings.JOBS | {"TTL": 500}
    records.write(old, old.replace(note="x"), Change())
    assert 499 <= redis_client.ttl(KEY) <= 500


def test_thousands_of_fields_are_written_and_deleted_in_one_script():
    many = {f"key {n}": str(n) for n in range(7000)}
    old = created(NEW.replace(data=many))
    assert records.read("parcel-1").record.data == many
    records.write(old, old.replace(data={}), Change())
    assert records.read("parcel-1").record.data == {}


def test_scripts_are_loaded_again_into_a_redis_that_has_forgotten_them(redis_client):
    old = created()
    redis_client.script_flush()
    assert records.write(old, old.replace(state=JobState.RUNNING), Change()).written
    redis_client.script_flush()
    records.beat(["parcel-1"], 50)
    assert records.read("parcel-1").record.deadline > 0


@contextmanager
def proxy_that_loses_answers(redis_client, number=1):
    """Pass bytes on to Redis, but cut the first connections on which an EVALSHA was sent before its answer arrives."""
    lost = []

    def serve(client, upstream):
        with client, upstream, suppress(OSError):
            while request := client.recv(65536):
                upstream.sendall(request)
                answer = upstream.recv(65536)
                if b"EVALSHA" in request and b"NOSCRIPT" not in answer and len(lost) < number:
                    lost.append(request)
                    return
                client.sendall(answer)

    def accept():
        with suppress(OSError):
            while True:
                pair = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=serve, args=pair, daemon=True).start()

    port = redis_client.connection_pool.connection_kwargs["port"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", lost
        listener.shutdown(socket.SHUT_RDWR)


def test_a_write_whose_answer_was_lost_is_recognised_by_its_mark(redis_client, settings):
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


@pytest.fixture
def scripts_are_known():
    """See to it that the scripts need not be loaded first."""
    records.create(NEW.replace(id="parcel-0"), Change())


@pytest.mark.usefixtures("scripts_are_known")
def test_a_job_is_created_listed_and_announced_in_one_round_trip(redis_client):
    with counted_trips() as trips:
        assert records.create(NEW, Change(stamp="created_at")).written
    assert trips.count == 1
    assert [indexes.indexed(topic, 1) for topic in ("owner:visitor:ann", "tag:post", "all")] == [
        ["parcel-1"]
    ] * 3


def test_a_redis_that_knows_no_script_yet_is_given_them(redis_client):
    redis_client.script_flush()
    assert records.create(NEW, Change()).written
    assert indexes.indexed("tag:post", 1) == ["parcel-1"]


def test_what_was_created_is_taken_back_when_a_list_does_not_take_it(redis_client):
    redis_client.set("jobs:index:tag:post", "no list")
    with pytest.raises(StoreUnavailable):
        records.create(NEW, Change())
    assert not redis_client.exists(KEY)
    redis_client.delete("jobs:index:tag:post")
    assert records.create(NEW, Change()).written


def test_a_job_of_somebody_else_s_is_not_taken_back(redis_client):
    first = created()
    redis_client.set("jobs:index:tag:post", "no list")
    with pytest.raises(StoreUnavailable):
        records.create(NEW.replace(owner="visitor:bob"), Change())
    assert records.read("parcel-1").record == first


@pytest.mark.parametrize(
    "is_away", [False, True], ids=["it answers again", "it does not answer yet"]
)
@pytest.mark.usefixtures("scripts_are_known")
def test_what_was_created_without_an_answer_is_taken_back(
    redis_client, settings, monkeypatch, is_away
):
    really_run, away = records.run, [StoreUnavailable("away")] * is_away

    def run(call):
        assert redis_client.exists(KEY)
        if away:
            raise away.pop()
        return really_run(call)

    monkeypatch.setattr(records, "run", run)
    with proxy_that_loses_answers(redis_client, number=2) as (url, lost):
        settings.JOBS = settings.JOBS | {"REDIS_URL": url}
        with pytest.raises(StoreUnavailable):
            records.create(NEW, Change())
        eventually(lambda: not redis_client.exists(KEY), seconds=1)
        assert len(lost) == 2


def test_a_push_goes_out_with_the_write_and_not_without_it(redis_client):
    with redis_client.pubsub() as listener:
        listener.subscribe("heard")
        assert listener.get_message(timeout=1)["type"] == "subscribe"
        assert not records.write(
            NEW.replace(version=5), NEW, Change(), Push(["heard"], b"refused")
        ).written
        records.write(None, NEW, Change(), Push(["heard", "heard"], b"told"))
        assert [listener.get_message(timeout=1)["data"] for _ in range(2)] == [b"told", b"told"]
        assert listener.get_message(timeout=0.05) is None


def test_version_and_time_are_put_into_the_push(redis_client):
    payload = f"v{clock.VERSION_TO_COME} v{clock.VERSION_TO_COME} t{clock.TIME_TO_COME} {clock.VERSION_TO_COME}"
    with redis_client.pubsub() as listener:
        listener.subscribe("heard")
        record = created(change=Change(stamp="created_at"))
        record = records.write(
            record, record, Change(stamp="ended_at"), Push(["heard"], payload.encode())
        ).record
        listener.get_message(timeout=1)
        version = record.version
        expected = f"v{version} v{version} t{clock.iso(version)} {clock.VERSION_TO_COME}"
        assert listener.get_message(timeout=1)["data"].decode() == expected


def test_bytes_that_are_no_text_pass_through_the_script_as_they_are(redis_client):
    payload = bytes(range(256)) * 10
    with redis_client.pubsub() as listener:
        listener.subscribe("heard")
        created_with = records.write(None, NEW, Change(), Push(["heard"], payload))
        listener.get_message(timeout=1)
        assert created_with.written and listener.get_message(timeout=1)["data"] == payload


@hypothesis_settings(max_examples=200)
@given(
    st.integers(1, MAX_VERSION).filter(lambda time: time != clock.VERSION_TO_COME)
    | st.sampled_from([951_782_400_000_000, 951_868_799_999_999, 4_107_542_400_000_000])
)
def test_the_script_writes_times_as_python_does(microseconds):
    source = (scripts.LUA / "write.lua").read_text().partition("local key = KEYS[1]")[0]
    answer = client().eval(source + "\nreturn iso(tonumber(ARGV[1]))", 0, microseconds)
    assert answer == clock.iso(microseconds)


def test_a_heartbeat_puts_off_the_deadline_of_running_jobs_only(redis_client):
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


def test_a_heartbeat_never_brings_a_deadline_nearer():
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
def test_a_damaged_job_does_not_hide_the_others_that_are_read_with_it(
    redis_client, caplog, damage
):
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


def test_a_key_of_another_type_is_not_written_over(redis_client):
    redis_client.rpush(KEY, "a list")
    with pytest.raises(StoreUnavailable):
        records.write(None, NEW, Change())
    assert redis_client.lrange(KEY, 0, -1) == [b"a list"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda: records.write(None, NEW, Change()),
        lambda: records.read("parcel-1"),
        lambda: records.read_all(["parcel-1", "parcel-2"]),
        lambda: indexes.add_to_indexes(NEW),
        lambda: indexes.indexed("tag:post", 5),
        lambda: records.beat(["parcel-1"], 5),
        server.ping,
        lambda: asyncio.run(read_async("parcel-1")),
    ],
    ids=["write", "read", "read_all", "add_to_indexes", "indexed", "beat", "ping", "async_read"],
)
def test_a_redis_that_is_not_there_is_an_error_of_our_own(settings, ask):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable, match="JOBS\\['REDIS_URL'\\]"):
        ask()


async def read_async(job_id):
    """Read a job as the sockets do, and leave no connection behind."""
    try:
        return await reader.async_reader().read(job_id)
    finally:
        await reader.async_reader().close()


def test_a_redis_without_memory_takes_nothing_and_goes_on_when_it_has_some(redis_client):
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            records.write(None, NEW, Change())
    finally:
        redis_client.config_set("maxmemory", 0)
    assert redis_client.dbsize() == 0
    assert created().version


def test_a_redis_that_hangs_holds_nobody_up_for_long(redis_client, monkeypatch, settings):
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT", 0.1)
    monkeypatch.setattr("jobs.store.client.FAIL_FAST_SECONDS", 0.1)
    settings.JOBS = dict(settings.JOBS)  # new connections, with the short time-out
    redis_client.execute_command("CLIENT", "PAUSE", 600, "ALL")
    with pytest.raises(StoreUnavailable, match="[Tt]imeout"):
        records.read("parcel-1")
    eventually(lambda: redis_client.ping())
    assert records.read("parcel-1").record is None


def test_a_ping_says_nothing_when_all_is_well():
    assert server.ping() is None


def test_a_change_of_a_job_is_one_command(redis_client):
    old = created()
    assert commands(redis_client, lambda: records.write(old, old.replace(note="x"), Change())) == [
        "EVALSHA"
    ]


def test_no_command_looks_through_all_keys():
    store = scripts.LUA.parent
    sources = [file.read_text() for file in [*store.rglob("*.lua"), *store.glob("*.py")]]
    assert not re.search(
        r"(client|pipeline)(\(\))?\.(keys|scan|scan_iter)\(|'(KEYS|SCAN)'",
        "".join(sources),
        re.IGNORECASE,
    )


def test_keys_of_a_job_stand_in_braces_so_that_a_cluster_keeps_them_together():
    assert keys.job_key("parcel-1") == KEY
    assert json.dumps(keys.index_key("tag:ü")) == '"jobs:index:tag:\\u00fc"'


def test_the_redis_module_s_errors_do_not_leave_the_store():
    assert issubclass(redis.exceptions.RedisError, Exception) and not issubclass(
        StoreUnavailable, redis.RedisError
    )
