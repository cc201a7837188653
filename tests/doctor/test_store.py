"""The doctor's step about Redis."""

import time

import pytest

from jobs.doctor.step import StepFailed
from jobs.doctor.store import try_store
from jobs.store import server
from jobs.store.server import Standby
from tests.factories import NOWHERE


def test_a_store_that_is_down_is_an_error_with_advice(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StepFailed, match="REDIS_URL"):
        try_store()


@pytest.mark.parametrize(
    ("clock", "policy", "said"),
    [(0, "allkeys-lru", "noeviction"), (3600, "", r"\+3600 s"), (-60, "noeviction", "-60")],
)
def test_a_store_that_evicts_or_has_another_time_fails(monkeypatch, clock, policy, said):
    monkeypatch.setattr(
        server, "check_write", lambda: (int((time.time() + clock) * 1_000_000), policy)
    )
    with pytest.raises(StepFailed, match=said):
        try_store()


def test_a_store_behind_sentinels_needs_a_replica(monkeypatch):
    monkeypatch.setattr(server, "standby", lambda: Standby("main", "10.0.0.5:6379", 2))
    assert try_store().endswith("main is at 10.0.0.5:6379 now and has 2 to take its place")
    monkeypatch.setattr(server, "standby", lambda: Standby("main", "10.0.0.5:6379", 0))
    with pytest.raises(StepFailed, match=r"main, at present 10\.0\.0\.5:6379, has no replica"):
        try_store()


def test_a_redis_cluster_fails(monkeypatch):
    monkeypatch.setattr(server, "is_in_cluster", lambda: True)
    with pytest.raises(StepFailed, match="node of a Redis Cluster, which is not supported"):
        try_store()
