"""What a colleague with access to Redis or broker may write: JSON or nothing (FAULTS.md H17)."""

import json
import pickle

import pytest

from jobs.checks import celery_app
from jobs.checks.celery_app import check_celery
from jobs.core.record import _CODECS
from jobs.repository import JobRepository
from tests.checks.test_celery_app import StrangersApp
from tests.factories import ANN, JSON, browser, create_job, plant, started_job
from tests.handlers import PostHandler

pytestmark = pytest.mark.usefixtures("database_file")

TYPED = {
    "__type__": "datetime",
    "__value__": "2024-01-01T00:00:00",
}  # what kombu's JSON reads as a date


@pytest.fixture
def ann():
    """Return the browser of Ann, who owns the jobs."""
    return browser(ANN)


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (str(self.place), "w")


@pytest.mark.parametrize("field", [*sorted(_CODECS), "data.parcel"])
def test_h17_a_pickle_in_a_record_is_never_opened(ann, field, redis_client, tmp_path):
    job, place = started_job(), tmp_path / "gone off"
    plant(redis_client, job, **{field: pickle.dumps(Bomb(place), 0)})
    for headers in ({}, JSON):
        assert ann.get(f"/jobs/{job.id}/", **headers).status_code < 500
    assert not place.exists()
    pickle.loads(redis_client.hget(f"jobs:{{{job.id}}}", field)).close()  # noqa: S301 - code that does so would be found
    assert place.exists()


def test_h17_typed_json_stays_the_dict_that_it_is(ann, redis_client):
    job = started_job()
    plant(redis_client, job, **{"data.parcel": json.dumps(TYPED)})
    assert JobRepository().find(job.id).data["parcel"] == TYPED


def test_h17_an_app_that_takes_pickle_is_warned_of(monkeypatch):
    monkeypatch.setattr(celery_app, "celery_app", lambda: StrangersApp(accept=("json", "pickle")))
    assert [message.id for message in check_celery()] == ["jobs.W003"]


def test_h17_names_that_javascript_treats_in_its_own_way_stay_names(ann, monkeypatch):
    monkeypatch.setattr(
        PostHandler,
        "public_data",
        lambda self: {"__proto__": {"x": 1}, "constructor": 1, "id": "forged", "state": "forged"},
    )
    job = create_job()
    frame = ann.get(f"/jobs/{job.id}/", **JSON).json()["job"]
    assert (frame["id"], frame["state"], frame["__proto__"]) == (job.id, "pending", {"x": 1})
    assert JobRepository().find(job.id).id == job.id
