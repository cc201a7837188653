"""Two projects on one Redis: separate under different names, reported under the same names."""

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
from jobs.store import project_marker
from jobs.store.project_marker import leave_marker, other_project
from tests.factories import NOWHERE, create_job, eventually
from tests.push.watchers import LAYERS, Page

MINE = "owner:visitor:ann"


def with_database(url, number):
    """Return the URL of another database on the same server."""
    return f"{url.rpartition('/')[0]}/{number}"


def other_names():
    """Return settings that separate a second project: its prefix, its database, or both."""
    database = {"REDIS_URL": with_database(jobs_settings().REDIS_URL, 9)}
    return {
        "prefix": {"PREFIX": "shop"},
        "database": database,
        "both": {"PREFIX": "shop"} | database,
    }


@pytest.fixture(params=["prefix", "database", "both"])
def second(request, settings):
    """Return an override of settings that makes this process a second, separate project."""
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    return partial(override_settings, JOBS=settings.JOBS | other_names()[request.param])


async def push_and_broadcast():
    """Send one frame to Ann's pages, and broadcast that she has logged out."""
    frame = message_of("frame", [MINE], "parcel-1") | {"version": "7"}
    await asyncio.to_thread(publisher.send, frame)
    await asyncio.to_thread(publisher.broadcast, {"type": LOGOUT, "owner": "visitor:ann"})


@pytest.mark.django_db
def test_h20_a_second_project_finds_none_of_our_jobs(second):
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
async def test_h20_a_second_project_receives_none_of_our_messages(second, settings, backend):
    config = {"hosts": [settings.JOBS["REDIS_URL"]]}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": LAYERS[backend], "CONFIG": config}}
    ours, page, theirs, their_page = Hub(), Page(), Hub(), Page()
    await ours.watch(MINE, page)
    with second():
        await theirs.watch(MINE, their_page)
        await push_and_broadcast()
        await their_page.next()  # it receives its own messages
        await their_page.logged_out.get()
    await push_and_broadcast()
    await page.next()
    await page.logged_out.get()
    await ours.unwatch(MINE, page)
    with second():
        await theirs.unwatch(MINE, their_page)
    assert page.heard.empty() and page.logged_out.empty()
    assert their_page.heard.empty() and their_page.logged_out.empty()


def start_process():
    """Do what a process does when it starts."""
    forget_all()
    leave_marker()


def of_another_project(**values):
    """Override settings to be another project that uses the same names."""
    return override_settings(**{"ROOT_URLCONF": "shop.urls", "SECRET_KEY": "theirs"} | values)


def test_h20_a_second_project_with_the_same_names_is_logged(caplog, redis_client):
    start_process()
    assert (
        other_project() == "" and 0 < redis_client.ttl("jobs:project") <= project_marker.MARKER_TTL
    )
    with of_another_project():
        start_process()
        leave_marker()
        assert other_project() == "project"
    assert [record.message for record in caplog.records] == [
        "another project ('project') uses this Redis under the prefix 'jobs'. "
        "Give one of them another JOBS['PREFIX']. "
        "If there is no other, delete the key 'jobs:project'."
    ]
    assert other_project() == ""  # the marker is still ours


@pytest.mark.parametrize("name", ["prefix", "database", "both"])
def test_h20_a_second_project_with_other_names_is_not_logged(caplog, settings, name):
    start_process()
    with of_another_project(JOBS=settings.JOBS | other_names()[name]):
        start_process()
        assert other_project() == ""
    assert caplog.records == []


def test_h20_the_doctor_names_a_second_project(redis_client):
    start_process()
    assert "took a write" in try_store()
    with (
        of_another_project(),
        pytest.raises(StepFailed, match=r"Another project \('project'\).* JOBS\['PREFIX'\]"),
    ):
        try_store()


def test_h20_a_worker_leaves_the_marker_of_its_project(redis_client):
    forget_all()
    on_ready(SimpleNamespace(pool=SimpleNamespace(maintain_pool=None)))
    eventually(lambda: redis_client.exists("jobs:project"))


async def test_h20_a_server_leaves_the_marker_with_its_first_socket(redis_client):
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
def test_a_project_does_not_mistake_itself_for_another(
    redis_client, monkeypatch, changed, is_another
):
    monkeypatch.setattr(project_marker, "database_name", lambda database: "shop")
    marker = project_marker.our_marker()
    redis_client.set("jobs:project", json.dumps(marker | dict.fromkeys(changed, "other")))
    assert bool(other_project()) is is_another


def test_the_name_of_a_database_in_memory_is_ignored(redis_client):
    redis_client.set("jobs:project", json.dumps(project_marker.our_marker() | {"name": "other"}))
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
def test_a_test_database_counts_as_the_project_s_own(engine, name, same):
    database = SimpleNamespace(vendor=engine.removesuffix("3"), settings_dict={"NAME": name})
    database.is_in_memory_db = lambda: DatabaseCreation.is_in_memory_db(str(name))
    assert project_marker.database_name(database) == same


def test_a_rotated_secret_key_is_recognised_by_its_fallback(redis_client, settings):
    start_process()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new"
    settings.ROOT_URLCONF = "other.urls"
    assert other_project() == ""


@pytest.mark.parametrize("marker", ["rubbish", "[]", "{}", '{"package": "shop"}', "7"])
def test_a_malformed_marker_is_replaced(redis_client, caplog, marker):
    redis_client.set("jobs:project", marker)
    start_process()
    assert json.loads(redis_client.get("jobs:project")) == project_marker.our_marker()
    assert caplog.records == []


def test_the_marker_is_left_later_if_redis_is_away_at_the_start(settings, redis_client):
    with override_settings(JOBS=settings.JOBS | {"REDIS_URL": NOWHERE}):
        start_process()
    leave_marker()  # the next attempt succeeds
    assert redis_client.exists("jobs:project")
