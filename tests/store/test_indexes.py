"""The lists of jobs by owner, by tag, and of all: hints, to be held against the jobs themselves."""

import pytest

from jobs.conf import jobs_settings
from jobs.exceptions import JobExists, JobNotFound, StoreUnavailable
from jobs.repository import JobRepository
from jobs.store import indexes
from tests.factories import create_job

from .test_records import NEW

pytestmark = pytest.mark.usefixtures("database_file")


def test_the_newest_jobs_of_a_topic_are_listed_first_and_only_so_many_are_kept(
    monkeypatch, redis_client
):
    monkeypatch.setattr(indexes, "INDEX_SIZE", 3)
    for n in range(5):
        indexes.add_to_indexes(NEW.replace(id=f"parcel-{n}", version=n + 1))
    assert indexes.indexed("owner:visitor:ann", 10) == ["parcel-4", "parcel-3", "parcel-2"]
    assert indexes.indexed("tag:post", 2) == ["parcel-4", "parcel-3"]
    assert indexes.indexed("tag:other", 2) == []
    assert redis_client.ttl("jobs:index:tag:post") == jobs_settings().TTL


def test_who_tries_to_create_a_job_of_somebody_else_s_does_not_find_it_in_a_list():
    create_job(id="parcel-1")
    with pytest.raises(JobExists):
        create_job(id="parcel-1", owner="visitor:bob", tags=["bob"])
    assert [job.id for job in JobRepository().for_owner("visitor:ann")] == ["parcel-1"]
    assert JobRepository().for_owner("visitor:bob") == JobRepository().of_topic("tag:bob") == []


@pytest.mark.parametrize("damaged", ["owner:visitor:ann", "tag:post", "all"])
def test_a_job_whose_lists_do_not_take_it_does_not_come_into_being(redis_client, damaged):
    redis_client.set(f"jobs:index:{damaged}", "no list")
    with pytest.raises(StoreUnavailable):
        create_job(id="parcel-1", tags=["post"])
    with pytest.raises(JobNotFound):
        JobRepository().find("parcel-1")


def test_a_job_keeps_its_place_in_a_list_that_it_is_entered_in_again():
    records = [NEW.replace(id=f"parcel-{n}") for n in range(2)]
    for record in [*records, records[0]]:
        indexes.add_to_indexes(record)
    assert indexes.indexed("tag:post", 2) == ["parcel-1", "parcel-0"]
