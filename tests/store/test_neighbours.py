"""Two projects on one Redis: under different names they know nothing of each other, under the same it is said."""

import asyncio
import json
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db.backends.sqlite3.creation import DatabaseCreation
from django.test import override_settings

from jobs.conf import jobs_settings
from jobs.doctor.step import StepFailed
from jobs.doctor.store import try_store
from jobs.exceptions import JobNotFound
from jobs.push import publisher
from jobs.push.envelope import LOGOUT, message_of
from jobs.push.hub import Hub, hub
from jobs.queues.celery.parent import on_ready
from jobs.repository import JobRepository
from jobs.runtime.per_process import forget_all
from jobs.store import neighbours
from jobs.store.neighbours import leave_marker, other_project
from tests.factories import NOWHERE, create_job, eventually
from tests.push.watchers import LAYERS, Page

MINE = "owner:visitor:ann"


def with_database(url, number):
    """Return the URL of the same server, with another of its databases."""
    return f"{url.rpartition('/')[0]}/{number}"


def other_names():
    """Return what tells a second project apart: its prefix, its database, or both."""
    database = {"REDIS_URL": with_database(jobs_settings().REDIS_URL, 9)}
    return {
        "prefix": {"PREFIX": "shop"},
        "database": database,
        "both": {"PREFIX": "shop"} | database,
    }


@pytest.fixture(params=["prefix", "database", "both"])
def second(request, settings):
    """Return how to be a second project on this server, with names of its own."""
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    return partial(override_settings, JOBS=settings.JOBS | other_names()[request.param])


async def push_and_broadcast():
    """Send one frame to Ann's pages, and say to every server that she has logged out."""
    frame = message_of("frame", [MINE], "parcel-1") | {"version": "7"}
    await asyncio.to_thread(publisher.send, frame)
    await asyncio.to_thread(publisher.broadcast, {"type": LOGOUT, "owner": "visitor:ann"})


@pytest.mark.django_db
def test_h20_a_second_project_finds_and_lists_none_of_our_jobs(second):
    job = create_job(tags=("post",))
    with second():
        with pytest.raises(JobNotFound):
            JobRepository().find(job.id)
        assert JobRepository().for_owner("visitor:ann") == []
        assert JobRepository().alive(10, scanned=10) == []
        theirs = create_job(id=job.id)  # not even the same id is in its way
        theirs.start()
        theirs.complete()
    assert JobRepository().find(job.id).state == "pending"


@pytest.mark.parametrize("backend", ["pubsub", "core"])
async def test_h20_a_second_project_hears_none_of_our_people(second, settings, backend):
    config = {"hosts": [settings.JOBS["REDIS_URL"]]}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": LAYERS[backend], "CONFIG": config}}
    ours, page, theirs, stranger_s_page = Hub(), Page(), Hub(), Page()
    await ours.watch(MINE, page)
    with second():
        await theirs.watch(MINE, stranger_s_page)
        await push_and_broadcast()
        await stranger_s_page.next()  # so that it does hear its own
        await stranger_s_page.logged_out.get()
    await push_and_broadcast()
    await page.next()
    await page.logged_out.get()
    await ours.unwatch(MINE, page)
    with second():
        await theirs.unwatch(MINE, stranger_s_page)
    assert page.heard.empty() and page.logged_out.empty()
    assert stranger_s_page.heard.empty() and stranger_s_page.logged_out.empty()


def start_anew():
    """Be a process that has just started."""
    forget_all()
    leave_marker()


def of_another_project(**values):
    """Be a process of another project that uses the same names."""
    return override_settings(**{"ROOT_URLCONF": "shop.urls", "SECRET_KEY": "theirs"} | values)


def test_h20_a_second_project_with_the_same_names_is_noticed(caplog, redis_client):
    start_anew()
    assert other_project() == "" and 0 < redis_client.ttl("jobs:project") <= neighbours.MARKER_TTL
    with of_another_project():
        start_anew()
        leave_marker()
        assert other_project() == "project"
    assert [record.message for record in caplog.records] == [
        "another project ('project') uses this Redis under the prefix 'jobs'. Give one of them another "
        "JOBS['PREFIX']. If there is no other, delete the key 'jobs:project'."
    ]
    assert other_project() == ""  # the marker is still ours


@pytest.mark.parametrize("name", ["prefix", "database", "both"])
def test_h20_a_second_project_with_other_names_is_no_news(caplog, settings, name):
    start_anew()
    with of_another_project(JOBS=settings.JOBS | other_names()[name]):
        start_anew()
        assert other_project() == ""
    assert caplog.records == []


def test_h20_the_doctor_names_a_second_project(redis_client):
    start_anew()
    assert "took a write" in try_store()
    with (
        of_another_project(),
        pytest.raises(StepFailed, match=r"Another project \('project'\).* JOBS\['PREFIX'\]"),
    ):
        try_store()


def test_h20_a_worker_introduces_its_project(redis_client):
    forget_all()
    on_ready(SimpleNamespace(pool=SimpleNamespace(maintain_pool=None)))
    eventually(lambda: redis_client.exists("jobs:project"))


async def test_h20_a_server_introduces_its_project_with_its_first_socket(redis_client):
    forget_all()
    hub()
    await asyncio.to_thread(eventually, lambda: redis_client.exists("jobs:project"))


@pytest.mark.parametrize(
    ("changed", "is_another"),
    [
        ((), False),
        (("secret",), False),  # it was rotated
        (("host",), False),  # a worker reaches the database by another name
        (("package",), False),  # one of several sites of a project
        (("name",), True),
        (("secret", "host"), True),  # staging and production
        (("secret", "package"), True),
        (("host", "package"), True),
    ],
)
def test_a_project_does_not_take_itself_for_another(
    redis_client, monkeypatch, changed, is_another
):
    monkeypatch.setattr(neighbours, "_name_of", lambda database: "shop")
    marker = neighbours._ours()
    redis_client.set("jobs:project", json.dumps(marker | dict.fromkeys(changed, "other")))
    assert bool(other_project()) is is_another


def test_a_database_in_memory_says_nothing_of_its_project(redis_client):
    redis_client.set("jobs:project", json.dumps(neighbours._ours() | {"name": "other"}))
    assert other_project() == ""


@pytest.mark.parametrize(
    ("engine", "name", "same"),
    [
        ("postgresql", "shop", "shop"),
        ("postgresql", "test_shop", "shop"),
        ("postgresql", "test_shop_gw11", "shop"),
        ("mysql", "test_shop_3", "shop"),
        ("postgresql", "contest_shop", "contest_shop"),
        ("postgresql", None, ""),
        ("sqlite3", Path("/srv/shop/db.sqlite3"), "/srv/shop/db.sqlite3"),
        ("sqlite3", "/srv/shop/test_db.sqlite3", "/srv/shop/db.sqlite3"),
        ("sqlite3", "db.sqlite3", os.path.abspath("db.sqlite3")),
        ("sqlite3", ":memory:", ""),
        ("sqlite3", "file:memorydb_default?mode=memory&cache=shared", ""),
    ],
)
def test_the_tests_of_a_project_are_the_project(engine, name, same):
    database = SimpleNamespace(vendor=engine.removesuffix("3"), settings_dict={"NAME": name})
    database.is_in_memory_db = lambda: DatabaseCreation.is_in_memory_db(str(name))
    assert neighbours._name_of(database) == same


def test_a_key_that_is_being_rotated_is_known_by_its_fallback(redis_client, settings):
    start_anew()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new"
    settings.ROOT_URLCONF = "other.urls"
    assert other_project() == ""


@pytest.mark.parametrize("marker", ["rubbish", "[]", "{}", '{"package": "shop"}', "7"])
def test_a_marker_that_is_none_is_replaced(redis_client, caplog, marker):
    redis_client.set("jobs:project", marker)
    start_anew()
    assert (
        json.loads(redis_client.get("jobs:project")) == neighbours._ours() and caplog.records == []
    )


def test_a_store_that_is_away_keeps_nobody_from_starting(settings, redis_client):
    with override_settings(JOBS=settings.JOBS | {"REDIS_URL": NOWHERE}):
        start_anew()
    leave_marker()  # it is made up for
    assert redis_client.exists("jobs:project")
