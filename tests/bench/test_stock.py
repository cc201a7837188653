"""Stored jobs by the thousand are stored as the store does it."""

from jobs.repository import JobRepository

from .stock import Stock


def test_copies_are_jobs_that_run_and_are_listed(redis_client):
    Stock().store_jobs(30)
    assert JobRepository().find("stock-30").state == "running"
    assert redis_client.zcard("jobs:index:all") == 31
