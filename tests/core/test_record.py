"""The stored form of a job reads back, and damage does not hurt."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.core.record import MAX_VERSION, Record, changed_fields, data_field, from_hash, to_hash
from jobs.states import JobState

TIMES = st.integers(0, MAX_VERSION)
NUMBERS = st.integers(0, 10**12) | st.floats(0, 1e12)
RECORDS = st.builds(
    Record,
    id=st.just("parcel-1"),
    state=st.sampled_from(JobState),
    version=TIMES,
    handler_class=st.text(),
    owner=st.text(),
    tags=st.lists(st.text()).map(tuple),
    language=st.text(),
    path=st.sampled_from(["", "/jobs/parcel-1/", "/büro/jobs/parcel-1/"]),
    attempt=st.integers(0, 99),
    max_attempts=st.integers(0, 99),
    current=NUMBERS,
    total=st.none() | NUMBERS,
    note=st.text(),
    error=st.text(),
    cancel_asked=st.booleans(),
    created_at=TIMES,
    started_at=TIMES,
    ended_at=TIMES,
    retry_at=TIMES,
    deadline=TIMES,
    leased_until=TIMES,
    claimed_at=TIMES,
    claimed_url=st.text(),
    data=st.dictionaries(
        st.text(st.characters(exclude_categories=())), st.sampled_from(["1", '"text"', "[]"])
    ),
)
GOOD = {
    "state": '"running"',
    "version": "1700000000000000",
    "handler_class": '"tests.handlers.PostHandler"',
    "owner": '"visitor:ann"',
    "data.parcel": '"books"',
}


@settings(max_examples=50)
@given(RECORDS)
def test_a_record_reads_back_equal(record):
    stored = to_hash(record)
    for text in stored.values():
        json.loads(text)  # raises unless it is JSON
        assert text.isascii()
    assert from_hash(record.id, stored) == record


@settings(max_examples=50)
@given(RECORDS, RECORDS)
def test_the_changed_fields_turn_one_stored_record_into_the_other(old, new):
    written, deleted = changed_fields(old, new)
    stored = to_hash(old) | written
    for name in deleted:
        del stored[name]
    assert from_hash("parcel-1", stored) == new


def test_only_what_has_changed_is_written():
    old = Record("parcel-1", note="packing", data={"a": "1", "b": "2", "c": "3"})
    new = old.replace(note="sending", data={"a": "1", "b": "4"})
    assert changed_fields(old, new) == ({"note": '"sending"', "data.b": "4"}, ["data.c"])
    assert changed_fields(old, old.replace(attempt=1)) == ({"attempt": "1"}, [])


@pytest.mark.parametrize(
    "key", ["plain", "", "ü", "\x00", '"', "\\", "a.b", "state", "\ud800", "\n"]
)
def test_any_string_can_be_a_key_of_the_data(key):
    assert data_field(key).startswith("data.") and data_field(key).isascii()
    assert from_hash("parcel-1", GOOD | {data_field(key): "7"}).data[key] == "7"


def test_a_good_hash_is_read_without_a_word(caplog):
    record = from_hash("parcel-1", GOOD)
    assert (record.id, record.state, record.data) == (
        "parcel-1",
        JobState.RUNNING,
        {"parcel": '"books"'},
    )
    assert not caplog.records


DAMAGE = {
    "state": ["", "done", "RUNNING", "\ufffd", '"done"', '"running', "7"],
    "handler_class": ['"tests', '"a" "b"'],
    "version": ["", "soon", "-1", "1.5", str(MAX_VERSION + 1), "9" * 5000],
    "tags": ["", "tag", '"tag"', "[1]", "{}", '["a"'],
    "attempt": ["", "first", "1.5"],
    "max_attempts": ["many"],
    "current": ["", "half", "NaN", '"1"', "null", "[]"],
    "total": ["all", "NaN", "{}"],
    "created_at": ["yesterday", "-5", str(10**40)],
    "deadline": ["never"],
    "retry_at": ["soon"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in DAMAGE.items() for text in texts]
)
def test_a_damaged_field_makes_a_failed_job_that_its_owner_still_sees(caplog, name, text):
    record = from_hash("parcel-1", GOOD | {name: text})
    assert (record.state, record.owner) == (JobState.FAILED, "visitor:ann")
    assert record.error == "The record of this job is damaged."
    assert caplog.record_tuples == [
        ("jobs.core.record", logging.ERROR, f"job parcel-1: damaged record, unreadable: {name}")
    ]


@pytest.mark.parametrize("name", ["state", "version", "handler_class"])
def test_a_missing_field_makes_a_failed_job_too(caplog, name):
    record = from_hash("parcel-1", {key: text for key, text in GOOD.items() if key != name})
    assert (record.state, record.owner) == (JobState.FAILED, "visitor:ann")
    assert f"unreadable: {name}" in caplog.text


@pytest.mark.parametrize("name", ["total", "current", "tags", "data.parcel"])
def test_a_field_nested_without_end_is_damage_like_any_other(name, caplog):
    from_hash("parcel-1", GOOD | {name: "[" * 100_000})
    assert "damaged record" in caplog.text and name in caplog.text


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "1e400", "1" + "0" * 400])
def test_a_number_without_bounds_is_damage_too(text):
    assert from_hash("parcel-1", GOOD | {"current": text}).state is JobState.FAILED


def test_a_damaged_value_is_left_out_of_the_data(caplog):
    record = from_hash("parcel-1", GOOD | {"data.weight": "heavy", "data.\\q": "1"})
    assert (record.state, dict(record.data)) == (JobState.RUNNING, {"parcel": '"books"'})
    assert caplog.text.count("is not JSON") == 2


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example", "javascript:alert(1)", "https://evil.example/"]
)
def test_an_address_elsewhere_that_was_planted_is_not_read(path):
    assert from_hash("parcel-1", GOOD | {"path": path}).path == ""


def test_a_text_without_quotes_is_read_as_it_is():
    record = from_hash(
        "parcel-1", GOOD | {"handler_class": "os.system", "state": "pending", "note": "7"}
    )
    assert (record.handler_class, record.state, record.note) == (
        "os.system",
        JobState.PENDING,
        "7",
    )


def test_fields_that_a_newer_version_of_the_app_has_written_are_ignored():
    assert from_hash("parcel-1", GOOD | {"colour": "blue"}) == from_hash("parcel-1", GOOD)


def test_the_id_is_that_of_the_key_whatever_the_hash_says():
    assert from_hash("parcel-1", GOOD | {"id": "parcel-2"}).id == "parcel-1"
