"""What Redis says about itself."""

from jobs.store import server

from .samples import redis_now


def test_a_ping_succeeds_while_redis_answers():
    server.ping()


def test_there_is_no_standby_without_sentinels():
    assert server.standby() is None


def test_the_clock_is_the_time_of_redis(redis_client):
    before, clock, after = redis_now(redis_client), server.clock(), redis_now(redis_client)
    assert before <= clock <= after


def test_processes_with_the_same_store_name_the_same_place(settings):
    ours = server.identity()
    assert ours == server.identity() != ""
    settings.JOBS = settings.JOBS | {"PREFIX": "shop"}
    assert server.identity() != ours


def test_a_checked_write_leaves_nothing_behind(redis_client):
    clock, policy = server.check_write()
    assert clock <= redis_now(redis_client)
    assert policy == ""
    assert redis_client.keys("jobs:*doctor*") == []
