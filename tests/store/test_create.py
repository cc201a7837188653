"""A job is created whole, or not at all."""

import pytest

from jobs.core.transitions import Change
from jobs.exceptions import StoreUnavailable
from jobs.store import indexes, records
from tests.bench.trips import counted_trips
from tests.factories import eventually

from .proxy import proxy_that_loses_answers
from .samples import KEY, NEW, created


@pytest.fixture
def scripts_are_known():
    """Load the scripts before the test."""
    records.create(NEW.replace(id="parcel-0"), Change())


@pytest.mark.usefixtures("scripts_are_known")
def test_a_job_is_created_and_indexed_in_one_round_trip(redis_client):
    with counted_trips() as trips:
        assert records.create(NEW, Change(stamp="created_at")).written
    assert trips.count == 1
    assert [indexes.indexed(topic, 1) for topic in ("owner:visitor:ann", "tag:post", "all")] == [
        ["parcel-1"]
    ] * 3


def test_missing_scripts_are_loaded_when_a_job_is_created(redis_client):
    redis_client.script_flush()
    assert records.create(NEW, Change()).written
    assert indexes.indexed("tag:post", 1) == ["parcel-1"]


def test_a_job_is_withdrawn_if_an_index_refuses_it(redis_client):
    redis_client.set("jobs:index:tag:post", "no list")
    with pytest.raises(StoreUnavailable):
        records.create(NEW, Change())
    assert not redis_client.exists(KEY)
    redis_client.delete("jobs:index:tag:post")
    assert records.create(NEW, Change()).written


def test_a_failed_creation_does_not_withdraw_another_owner_s_job(redis_client):
    first = created()
    redis_client.set("jobs:index:tag:post", "no list")
    with pytest.raises(StoreUnavailable):
        records.create(NEW.replace(owner="visitor:bob"), Change())
    assert records.read("parcel-1").record == first


@pytest.mark.parametrize(
    "is_away", [False, True], ids=["it answers again", "it does not answer yet"]
)
@pytest.mark.usefixtures("scripts_are_known")
def test_a_creation_without_an_answer_is_withdrawn(redis_client, settings, monkeypatch, is_away):
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
