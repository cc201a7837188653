"""Each key and value of `JOBS` is checked."""

import pytest

from jobs.checks.settings import check_archive, check_settings

from .messages import ids


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, []),
        ({"TLL": 5}, ["jobs.E001"]),
        ({"ttl": 5, "Shards": 1}, ["jobs.E001", "jobs.E001"]),
        ({7: 5}, ["jobs.E001"]),
        ({"TTL": "5"}, ["jobs.E002"]),
        ({"TTL": None}, ["jobs.E002"]),
        ({"TTL": True}, ["jobs.E002"]),
        ({"ARCHIVE": 1}, ["jobs.E002"]),
        ({"REDIS_URL": 6379}, ["jobs.E002"]),
        ({"ALLOWED_REDIRECT_HOSTS": "pay.example"}, ["jobs.E002"]),
        ({"TTL": 0}, ["jobs.E003"]),
        ({"SHARDS": -1}, ["jobs.E003"]),
        ({"PROGRESS_PER_SECOND": 0.0}, ["jobs.E003"]),
        ({"LOST_AFTER": 15}, ["jobs.E003"]),
        ({"HEARTBEAT": 30}, ["jobs.E003"]),
        ({"LOST_AFTER": 1.5, "HEARTBEAT": 0.5}, []),
        ({"PREFIX": 7}, ["jobs.E002"]),
        ({"PREFIX": ""}, ["jobs.E008"]),
        ({"PREFIX": "shop.jobs"}, ["jobs.E008"]),
        ({"PREFIX": "shop:"}, ["jobs.E008"]),
        ({"PREFIX": "{shop}"}, ["jobs.E008"]),
        ({"PREFIX": "büro"}, ["jobs.E008"]),
        ({"PREFIX": "shop\n"}, ["jobs.E008"]),
        ({"PREFIX": "x" * 51}, ["jobs.E008"]),
        ({"PREFIX": "My-Shop_2"}, []),
        ({"START_TIMEOUT": 0.5, "ARCHIVE": False, "ALLOWED_REDIRECT_HOSTS": ["pay.example"]}, []),
    ],
    ids=str,
)
def test_each_key_and_value_is_checked(settings, given, found):
    settings.JOBS = given
    assert ids(check_settings()) == found


@pytest.mark.parametrize(
    ("key", "value"), [("TTL", "5"), ("TLL", 5), ("SHARDS", 0), ("PREFIX", "a.b")]
)
def test_a_message_names_what_was_given(settings, key, value):
    settings.JOBS = {key: value}
    (message,) = check_settings()
    assert repr(key) in message.msg and (repr(value) in message.msg or "keys are" in message.hint)


@pytest.mark.parametrize(
    "value", [["redis://:secret@a"], b"redis://:secret@a", {"url": "redis://:secret@a"}]
)
def test_an_address_of_the_wrong_type_never_shows_its_password(settings, value):
    settings.JOBS = {"REDIS_URL": value}
    (message,) = check_settings()
    assert message.msg == f"JOBS['REDIS_URL'] is a {type(value).__name__}; it must be a str."


@pytest.mark.parametrize("given", [[], None, "redis://localhost", [("TTL", 5)]], ids=repr)
def test_settings_that_are_not_a_dict_are_one_error(settings, given):
    settings.JOBS = given
    assert ids(check_settings()) == ["jobs.E002"]


@pytest.mark.parametrize(
    ("given", "found"), [({}, []), ({"ARCHIVE": False}, ["jobs.W008"]), ([], [])]
)
def test_an_archive_that_is_off_is_a_warning(settings, given, found):
    settings.JOBS = given
    assert ids(check_archive()) == found
