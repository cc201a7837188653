"""What is published with a write."""

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.core import clock
from jobs.core.record import MAX_VERSION
from jobs.core.transitions import Change
from jobs.store import records, scripts
from jobs.store.client import client
from jobs.store.push import Push

from .samples import NEW, created


def test_a_refused_write_publishes_nothing(redis_client):
    with redis_client.pubsub() as listener:
        listener.subscribe("heard")
        assert listener.get_message(timeout=1)["type"] == "subscribe"
        assert not records.write(
            NEW.replace(version=5), NEW, Change(), Push(["heard"], b"refused")
        ).written
        records.write(None, NEW, Change(), Push(["heard", "heard"], b"told"))
        assert [listener.get_message(timeout=1)["data"] for _ in range(2)] == [b"told", b"told"]
        assert listener.get_message(timeout=0.05) is None


def test_the_script_inserts_version_and_time_into_the_payload(redis_client):
    to_come = clock.VERSION_TO_COME
    payload = f"v{to_come} v{to_come} t{clock.TIME_TO_COME} {to_come}"
    with redis_client.pubsub() as listener:
        listener.subscribe("heard")
        record = created(change=Change(stamp="created_at"))
        record = records.write(
            record, record, Change(stamp="ended_at"), Push(["heard"], payload.encode())
        ).record
        listener.get_message(timeout=1)
        version = record.version
        expected = f"v{version} v{version} t{clock.iso(version)} {to_come}"
        assert listener.get_message(timeout=1)["data"].decode() == expected


def test_the_script_publishes_any_bytes_unchanged(redis_client):
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
def test_the_script_formats_times_as_python_does(microseconds):
    source = (scripts.LUA / "write.lua").read_text().partition("local key = KEYS[1]")[0]
    answer = client().eval(source + "\nreturn iso(tonumber(ARGV[1]))", 0, microseconds)
    assert answer == clock.iso(microseconds)
