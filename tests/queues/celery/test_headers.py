"""A header describes an ordinary job whole, and stays small whatever the job holds."""

import json
from uuid import uuid4

import pytest
from django.utils.translation import override

from jobs.queues.celery.headers import header_of, is_whole, record_in
from jobs.testing import run_immediately
from tests.factories import OWNER, again, create_job
from tests.tasks import carry

MAX_HEADER = 6000  # bytes of a header as JSON

pytestmark = pytest.mark.django_db(transaction=True)


def arrived(job, kwargs):
    """Return a header as the worker gets it."""
    return json.loads(json.dumps(header_of(job, kwargs)))


def test_a_header_describes_a_small_job_whole_and_names_its_arguments():
    kwargs = {"parcel": "books", "weight": 3}
    with override("de"):
        job = create_job(data={**kwargs, "note": "ä"}, tags=["post"])
    header = arrived(job, kwargs)
    assert is_whole(header, kwargs) and "books" not in json.dumps(header)
    assert record_in(job.id, header, kwargs).replace(deadline=job.record.deadline) == job.record


@pytest.mark.parametrize(
    ("data", "tags", "kwargs"),
    [
        ({"text": "ä" * 40_000}, [], {}),
        ({"text": '"' * 100_000}, [], {}),
        ({f"key {n}": n for n in range(10_000)}, [], {}),
        ({f"ключ{n}": n for n in range(5_000)}, [], {f"ключ{n}": n for n in range(5_000)}),
        ({"ключ" * 5_000: 1}, [], {"ключ" * 5_000: 1}),
        ({}, [f"{n}ä" * 40 for n in range(500)], {}),
    ],
)
def test_a_header_is_small_whatever_the_job_holds(data, tags, kwargs):
    job = create_job(data=data, tags=tags)
    header = arrived(job, kwargs)
    assert len(json.dumps(header)) < MAX_HEADER and not is_whole(header, kwargs)
    record = record_in(job.id, header, kwargs)
    assert (record.owner, record.handler_class, record.path) == (
        OWNER,
        job.handler_class,
        job.record.path,
    )
    assert record.version == job.version and record.data.items() <= job.record.data.items()


def test_large_data_that_is_an_argument_is_only_named():
    kwargs = {"text": "x" * 200_000}
    header = arrived(job := create_job(data=kwargs), kwargs)
    assert is_whole(header, kwargs) and record_in(job.id, header, kwargs).data == job.record.data


def test_a_header_holds_what_fits_beside_large_data():
    header = arrived(create_job(data={"large": "x" * 100_000, "small": 1}), {})
    assert record_in("x", header, {}).data == {"small": "1"} and not is_whole(header, {})


def test_an_argument_is_recognised_by_its_text():
    order = uuid4()
    header = arrived(job := create_job(data={"order": str(order)}), {"order": order})
    assert (
        header["kwargs"] == ["order"]
        and record_in(job.id, header, {"order": order}).data == job.record.data
    )


def test_an_equal_argument_of_another_type_is_not_the_same():
    header = arrived(job := create_job(data={"weight": True}), {"weight": 1})
    assert record_in(job.id, header, {"weight": 1}).data == job.record.data


def test_a_header_is_not_whole_without_an_argument_that_it_names():
    header = arrived(job := create_job(data={"weight": 3}), {"weight": 3})
    assert not is_whole(header, {}) and record_in(job.id, header, {}).data == {}


@pytest.mark.parametrize("size", [10, 100_000])
def test_the_task_sees_all_of_its_job_s_data(size):
    with run_immediately():
        job = carry.submit_job(None, data={"text": "x" * size})
    assert again(job).data["seen"] == size
