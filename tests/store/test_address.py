"""What JOBS['REDIS_URL'] says, and whether a channel layer is on the same server."""

import pytest

from jobs.checks.settings import check_settings
from jobs.store.address import is_store_server, parse

THREE = "redis+sentinel://a,b:26380,[::1]:26381/main"


def test_a_sentinel_has_its_default_port_unless_one_is_given():
    address = parse(THREE)
    assert address.places == (("a", 26379), ("b", 26380), ("::1", 26381))
    assert address.service == "main" and address.options == {}


def test_user_password_and_database_belong_to_the_server():
    address = parse("redis+sentinel://ann:p%40ss%2Fword@a/my%20main/3")
    assert address.service == "my main" and address.password == "p@ss/word"
    assert address.options == {"username": "ann", "password": "p@ss/word", "db": 3}
    assert not any(address.sentinel_options.values())


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://a", 0),
        ("redis://a/", 0),
        ("redis://:p@a:6380/3", 3),
        ("rediss://a/4", 4),
        ("redis://a/?db=5", 5),
        ("unix:///run/redis.sock", 0),
        ("unix:///run/redis.sock?db=6", 6),
        ("redis+sentinel://a/main", 0),
        ("redis+sentinel://a/main/7", 7),
        ("rediss+sentinel://:p@a,b/main/8?sentinel_password=x", 8),
        ("redis+sentinel://a/main?db=9", 9),
    ],
)
def test_every_form_of_url_names_the_database(url, database):
    assert parse(url).database == database


def test_options_name_the_user_and_password_of_the_sentinels():
    address = parse(
        "redis+sentinel://:theirs@a/main?sentinel_username=s&sentinel_password=ours&health_check_interval=5"
    )
    assert address.sentinel_options == {"username": "s", "password": "ours"}
    assert address.options == {"password": "theirs", "health_check_interval": 5}


def test_rediss_means_tls_for_the_server_and_the_sentinels():
    address = parse("rediss+sentinel://a/main?ssl_ca_certs=/ca.pem")
    secure = {"ssl": True, "ssl_ca_certs": "/ca.pem"}
    assert address.options == secure
    assert address.sentinel_options == {"username": None, "password": None} | secure


def test_a_printed_address_does_not_show_the_password():
    assert "secret" not in repr(parse("redis://:secret@a"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis",
        "valkey://a",
        "sentinel://a/main",
        "redis://a:secret",
        "redis://:secret/more@a",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel:///main",
        "redis+sentinel://a,,b/main",
        "redis+sentinel://a:secret/main",
        "redis+sentinel://:secret/more@a/main",
        "redis+sentinel://[::1/main",
        "redis+sentinel://a/main/first",
    ],
)
def test_the_error_for_a_malformed_url_does_not_show_the_password(settings, url):
    with pytest.raises(ValueError, match="malformed"):
        parse(url)
    settings.JOBS = {"REDIS_URL": url}
    (error,) = check_settings()
    assert error.id == "jobs.E006" and "redis+sentinel://" in error.hint
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "url", ["redis://a", "rediss://u:p@a:6380/1", "unix:///run/redis.sock", THREE]
)
def test_the_system_check_accepts_a_good_url(settings, url):
    settings.JOBS = {"REDIS_URL": url}
    assert check_settings() == []


@pytest.mark.parametrize(
    ("service", "sentinels", "is_same"),
    [
        ("main", [("b", 26380)], True),
        ("main", [["x", 1], ["a", 26379]], True),
        ("main", [("a", 26380)], False),
        ("other", [("b", 26380)], False),
        ("main", [], False),
    ],
)
def test_the_same_server_means_a_shared_sentinel_and_the_same_service(
    settings, service, sentinels, is_same
):
    settings.JOBS = {"REDIS_URL": THREE}
    assert is_store_server({"master_name": service, "sentinels": sentinels}) is is_same


@pytest.mark.parametrize("host", ["redis://a:26379", ("b", 26380), {"host": "a", "port": 26379}])
def test_a_channel_layer_that_bypasses_the_sentinels_uses_another_server(settings, host):
    settings.JOBS = {"REDIS_URL": THREE}
    assert not is_store_server(host)


@pytest.mark.parametrize(
    "host",
    [
        "redis://127.0.0.1:6399/3",
        "redis://localhost:6399",
        "redis://user:secret@localhost:6399/0",
        ("localhost", 6399),
        ["127.0.0.1", 6399],
        {"address": "redis://localhost:6399/1"},
        {"host": "127.0.0.1", "port": 6399, "db": 2},
    ],
)
def test_the_store_server_is_recognised_in_every_form_of_host(settings, host):
    settings.JOBS = {"REDIS_URL": "redis://127.0.0.1:6399/0"}
    assert is_store_server(host)


@pytest.mark.parametrize(
    "host",
    [
        "redis://127.0.0.1:6398/0",
        "redis://elsewhere:6399/0",
        ("127.0.0.1", 6398),
        {"address": "redis://elsewhere:6399"},
        {"host": "elsewhere", "port": 6399},
        {"host": "127.0.0.1"},
        {"master_name": "main", "sentinels": [("127.0.0.1", 6399)]},
        {"address": "http://127.0.0.1:6399"},
    ],
)
def test_another_server_is_not_mistaken_for_the_store_server(settings, host):
    settings.JOBS = {"REDIS_URL": "redis://127.0.0.1:6399/0"}
    assert not is_store_server(host)


@pytest.mark.parametrize(
    "host", ["redis://localhost", ("localhost", 6379), {"host": "127.0.0.1"}, {}]
)
def test_the_default_port_may_be_left_out(settings, host):
    settings.JOBS = {"REDIS_URL": "redis://localhost/0"}
    assert is_store_server(host)


@pytest.mark.parametrize("host", ["unix:///run/another.sock", {"path": "/run/another.sock"}])
def test_a_unix_socket_is_not_mistaken_for_the_store_server(settings, host):
    settings.JOBS = {"REDIS_URL": "redis://localhost/0"}
    assert not is_store_server(host)
