"""Redis's protocol: commands are packed, and replies are parsed."""

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st
from redis.connection import PythonRespSerializer

from jobs.store.resp import ErrorReply, Incomplete, pack, parse


def values_of(data):
    found, at = [], 0
    while at < len(data):
        value, at = parse(data, at)
        found.append(value)
    return found


@given(st.lists(st.binary() | st.text() | st.integers(), min_size=1))
@example(["a lone surrogate: \ud800"])
def test_a_command_is_packed_as_redis_py_packs_it(command):
    encode = redis.Connection(encoding_errors="replace").encoder.encode
    theirs = PythonRespSerializer(6000, encode).pack(
        "EVALSHA", *command
    )  # hiredis' takes no lone surrogate
    assert pack(["EVALSHA", *command]) == b"".join(theirs)


@given(st.lists(st.binary(), min_size=1))
def test_a_packed_command_can_be_parsed(command):
    assert values_of(pack(command) * 2) == [command, command]


@given(st.data())
def test_a_value_that_is_cut_off_is_incomplete(data):
    whole = pack(["message", "school", data.draw(st.binary(max_size=40))])
    with pytest.raises(Incomplete):
        parse(whole[: data.draw(st.integers(0, len(whole) - 1))], 0)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\r\n$1\r\n", [b"message", b"a", b"\r\n$1"]),
        (b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", [b"subscribe", b"a", b"1"]),
        (b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", [b"unsubscribe", None, b"0"]),
        (b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n", [b"unsubscribe", b"", b"0"]),
        (b"+PONG\r\n", b"PONG"),
        (b"-NOPERM not you\r\n", ErrorReply("NOPERM not you")),
    ],
)
def test_the_answers_to_a_subscriber_are_parsed(written, value):
    (found,) = values_of(written)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("written", [b"$many\r\n", b"*few\r\n"])
def test_a_malformed_length_is_an_error(written):
    with pytest.raises(ValueError):
        parse(written, 0)
