"""What may stand in a job's data: JSON that reads back equal, and nothing else."""

import json
from datetime import datetime
from decimal import Decimal

import pytest
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from jobs.core.data import MAX_DEPTH, JobData, check_size, encode, encode_all
from jobs.exceptions import UnserializableData

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # surrogates and NUL too
ANY_NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=20,
)


def nested(levels, kind=list):
    value = "deep"
    for _ in range(levels):
        value = [value] if kind is list else {"in": value}
    return value


def circle():
    value = []
    value.append(value)
    return value


@given(ANY_JSON)
def test_any_json_value_reads_back_equal(value):
    text = encode("key", value)
    assert text.isascii()
    assert json.loads(text) == value
    assert repr(json.loads(text)) == repr(
        value
    )  # True and 1, 1 and 1.0, 0.0 and -0.0 are equal and not the same


@pytest.mark.parametrize(
    "text", ["\x00", "\ud800", "😀", "\u202e", "\ud83d\ude00"[:1], "é" * 1000]
)
def test_strange_text_reads_back_equal(text):
    assert json.loads(encode("key", [text])) == [text]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        {"x": float("-inf")},
        (1, 2),
        [(1, 2)],
        {"x": {"y": ()}},
        {1, 2},
        b"bytes",
        datetime(2026, 1, 1),  # noqa: DTZ001
        Decimal("1.5"),
        gettext_lazy("Please wait"),
        object(),
        {1: "one"},
        {None: "none"},
        {"a": {2.5: "x"}},
        10**5000,
        circle(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused_by_the_name_of_its_key(value):
    with pytest.raises(UnserializableData, match="parcel"):
        encode("parcel", value)


@pytest.mark.parametrize("key", [1, None, b"key", ("a",), gettext_lazy("Please wait")])
def test_a_key_that_is_no_string_is_refused(key):
    with pytest.raises(UnserializableData, match="keys are strings"):
        encode(key, "value")


@pytest.mark.parametrize("kind", [list, dict])
def test_a_value_may_be_a_hundred_levels_deep_and_no_more(kind):
    assert json.loads(encode("key", nested(MAX_DEPTH, kind))) == nested(MAX_DEPTH, kind)
    with pytest.raises(UnserializableData, match="nested more than 100 levels"):
        encode("key", nested(MAX_DEPTH + 1, kind))


def test_a_value_deeper_than_the_recursion_limit_is_refused():
    with pytest.raises(UnserializableData, match="key"):
        encode("key", nested(100_000))


def test_all_values_are_checked_before_any_is_returned():
    with pytest.raises(UnserializableData, match="'b'"):
        encode_all({"a": 1, "b": {1}}, limit=1000)


def test_the_limit_is_for_the_sum_of_the_values_as_stored():
    check_size({"key": '"123"', "lock": '"45"'}, limit=9)
    with pytest.raises(UnserializableData, match=r"may take 8 bytes .*data\['key'\] it takes 9"):
        check_size({"key": '"123"', "lock": '"45"'}, limit=8)


def test_the_keys_cannot_be_larger_than_the_values_may_be():
    check_size({"ü": "1", "y": "2"}, limit=7)
    with pytest.raises(UnserializableData, match="may take 6 bytes"):
        check_size({"ü": "1", "y": "2"}, limit=6)


def test_the_error_names_the_largest_value():
    with pytest.raises(UnserializableData, match="data\\['b'\\]"):
        check_size({"a": "1", "b": '"12345"', "c": "22"}, limit=5)


def data_in(texts):
    """Return a mapping over a dict, as a job's data is one over its record."""

    def write(key, text):
        texts.pop(key, None) if text is None else texts.update({key: text})

    return JobData(lambda: texts, write)


def test_data_is_a_mapping_like_any_other():
    data = data_in({})
    data["name"] = "Ann"
    data.update(age=7, pets=["cat"])
    assert data == {"name": "Ann", "age": 7, "pets": ["cat"]}
    assert data.pop("age") == 7 and data.setdefault("name", "Bob") == "Ann"
    assert list(data) == ["name", "pets"] and len(data) == 2 and "pets" in data
    assert repr(data) == "JobData({'name': 'Ann', 'pets': ['cat']})"


def test_an_update_with_one_bad_value_writes_nothing():
    data = data_in({"name": '"Ann"'})
    with pytest.raises(UnserializableData, match="'age'"):
        data.update({"name": "Bob", "age": {7}}, pets=[])
    assert data == {"name": "Ann"}


def test_an_update_takes_what_that_of_a_dict_takes():
    data = data_in({})
    data.update([("a", 1)], b=2)
    data.update({"c": 3})
    data.update()
    assert data == {"a": 1, "b": 2, "c": 3}


def test_a_value_read_from_data_can_be_changed_without_changing_the_job():
    data = data_in({"pets": '["cat"]'})
    data["pets"].append("dog")
    assert data["pets"] == ["cat"]


@pytest.mark.parametrize(
    "take",
    [lambda data: data["x"], lambda data: data.pop("x"), lambda data: data.__delitem__("x")],
)
def test_a_missing_key_is_a_key_error(take):
    with pytest.raises(KeyError, match="x"):
        take(data_in({}))


def test_data_can_change_during_an_iteration():
    data = data_in({"a": "1", "b": "2"})
    for key in data:
        del data[key]
    assert not data
