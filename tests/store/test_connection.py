"""The way to Redis: what a URL says, directly or through sentinels, and whether a channel layer goes the same way."""

import pytest
import redis

from jobs.checks.settings import check_settings
from jobs.exceptions import StoreUnavailable
from jobs.store import connection, server
from jobs.store.address import is_store_server, parse
from jobs.store.reader import async_reader

THREE = "redis+sentinel://a,b:26380,[::1]:26381/main"


def test_sentinels_have_their_own_port_unless_it_is_given():
    address = parse(THREE)
    assert address.places == (("a", 26379), ("b", 26380), ("::1", 26381))
    assert address.service == "main" and address.options == {}


def test_user_password_and_database_are_the_server_s():
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
def test_the_number_of_the_database_is_known_from_every_form(url, database):
    assert parse(url).database == database


def test_the_sentinels_password_is_an_option():
    address = parse(
        "redis+sentinel://:theirs@a/main?sentinel_username=s&sentinel_password=ours&health_check_interval=5"
    )
    assert address.sentinel_options == {"username": "s", "password": "ours"}
    assert address.options == {"password": "theirs", "health_check_interval": 5}


def test_tls_is_for_the_server_and_the_sentinels():
    address = parse("rediss+sentinel://a/main?ssl_ca_certs=/ca.pem")
    secure = {"ssl": True, "ssl_ca_certs": "/ca.pem"}
    assert address.options == secure
    assert address.sentinel_options == {"username": None, "password": None} | secure


def test_a_password_is_not_in_what_is_printed():
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
def test_a_malformed_url_is_an_error_that_keeps_the_password_to_itself(settings, url):
    with pytest.raises(ValueError, match="malformed"):
        parse(url)
    settings.JOBS = {"REDIS_URL": url}
    (error,) = check_settings()
    assert error.id == "jobs.E006" and "redis+sentinel://" in error.hint
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "url", ["redis://a", "rediss://u:p@a:6380/1", "unix:///run/redis.sock", THREE]
)
def test_a_good_url_is_none(settings, url):
    settings.JOBS = {"REDIS_URL": url}
    assert check_settings() == []


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", THREE], ids=["direct", "by sentinels"])
async def test_every_wait_is_bounded(settings, url):
    settings.JOBS = {"REDIS_URL": url}
    for client in (connection.connect(), connection.connect_async()):
        pool = client.connection_pool
        assert isinstance(
            pool, redis.BlockingConnectionPool | redis.asyncio.BlockingConnectionPool
        )
        assert (
            pool.timeout == pool.connection_kwargs["socket_timeout"] == connection.COMMAND_TIMEOUT
        )
        sentinels = pool.sentinel_manager.sentinels if url == THREE else []
        bounds = [
            sentinel.connection_pool.connection_kwargs["socket_timeout"] for sentinel in sentinels
        ]
        assert bounds == [connection.SENTINEL_TIMEOUT] * len(sentinels)


async def test_sentinels_that_are_away_are_an_error_of_our_own(settings):
    settings.JOBS = {"REDIS_URL": "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main"}
    with pytest.raises(StoreUnavailable, match="JOBS\\['REDIS_URL'\\].* No master found"):
        server.ping()
    with pytest.raises(
        StoreUnavailable, match="a moment ago"
    ):  # a request does not ask them for each of its commands
        server.standby()
    settings.JOBS = dict(settings.JOBS)  # nobody has asked yet
    reader = async_reader()
    with pytest.raises(StoreUnavailable, match="No master found"):
        await reader.read("parcel-1")
    await reader.close()


def test_without_sentinels_nobody_stands_by():
    assert server.standby() is None


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
def test_the_layer_is_on_the_store_s_server_if_they_share_a_sentinel_and_the_service(
    settings, service, sentinels, is_same
):
    settings.JOBS = {"REDIS_URL": THREE}
    assert is_store_server({"master_name": service, "sentinels": sentinels}) is is_same


@pytest.mark.parametrize("host", ["redis://a:26379", ("b", 26380), {"host": "a", "port": 26379}])
def test_a_layer_that_bypasses_the_sentinels_is_on_another_server(settings, host):
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
def test_the_store_s_server_is_known_in_any_spelling(settings, host):
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
def test_another_server_is_not_taken_for_the_store_s(settings, host):
    settings.JOBS = {"REDIS_URL": "redis://127.0.0.1:6399/0"}
    assert not is_store_server(host)


@pytest.mark.parametrize(
    "host", ["redis://localhost", ("localhost", 6379), {"host": "127.0.0.1"}, {}]
)
def test_the_usual_port_may_be_left_out(settings, host):
    settings.JOBS = {"REDIS_URL": "redis://localhost/0"}
    assert is_store_server(host)


@pytest.mark.parametrize("host", ["unix:///run/another.sock", {"path": "/run/another.sock"}])
def test_a_socket_in_the_file_system_is_not_taken_for_the_store_s(settings, host):
    settings.JOBS = {"REDIS_URL": "redis://localhost/0"}
    assert not is_store_server(host)
