"""The indexes of jobs: by owner, by tag, and of all jobs."""

import pytest

from jobs.conf import jobs_settings
from jobs.exceptions import JobExists, JobNotFound, StoreUnavailable
from jobs.repository import JobRepository
from jobs.store import indexes
from tests.factories import create_job

from .samples import NEW

pytestmark = pytest.mark.usefixtures("database_file")


def test_an_index_keeps_the_newest_jobs_and_lists_them_first(monkeypatch, redis_client):
    monkeypatch.setattr(indexes, "INDEX_SIZE", 3)
    for n in range(5):
        indexes.add_to_indexes(NEW.replace(id=f"parcel-{n}", version=n + 1))
    assert indexes.indexed("owner:visitor:ann", 10) == ["parcel-4", "parcel-3", "parcel-2"]
    assert indexes.indexed("tag:post", 2) == ["parcel-4", "parcel-3"]
    assert indexes.indexed("tag:other", 2) == []
    assert redis_client.ttl("jobs:index:tag:post") == jobs_settings().TTL


def test_a_refused_creation_adds_the_job_to_no_index():
    create_job(id="parcel-1")
    with pytest.raises(JobExists):
        create_job(id="parcel-1", owner="visitor:bob", tags=["bob"])
    assert [job.id for job in JobRepository().for_owner("visitor:ann")] == ["parcel-1"]
    assert JobRepository().for_owner("visitor:bob") == JobRepository().of_topic("tag:bob") == []


@pytest.mark.parametrize("damaged", ["owner:visitor:ann", "tag:post", "all"])
def test_a_job_that_no_index_takes_does_not_exist(redis_client, damaged):
    redis_client.set(f"jobs:index:{damaged}", "no list")
    with pytest.raises(StoreUnavailable):
        create_job(id="parcel-1", tags=["post"])
    with pytest.raises(JobNotFound):
        JobRepository().find("parcel-1")


def test_a_job_added_twice_keeps_its_place_in_the_index():
    records = [NEW.replace(id=f"parcel-{n}") for n in range(2)]
    for record in [*records, records[0]]:
        indexes.add_to_indexes(record)
    assert indexes.indexed("tag:post", 2) == ["parcel-1", "parcel-0"]
