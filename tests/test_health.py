"""The health of one server process: two words that matter, one that is good to know, and no secrets."""

import pytest
from django.db import OperationalError
from django.test import AsyncClient
from django.urls import path

from jobs.archive import server
from jobs.health import health
from jobs.push.hub import hub
from jobs.store.reader import async_reader
from tests.push.watchers import Page

from .factories import NOWHERE

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
urlpatterns = [path("health/", health)]


async def ask():
    """Return status and answer."""
    try:
        response = await AsyncClient().get("/health/")
    finally:
        await async_reader().close()
    return response.status_code, response.json()


async def test_all_is_well_with_a_store_and_an_archive():
    assert await ask() == (200, {"status": "ok", "store": "ok", "archive": "ok", "hub": "idle"})


async def test_without_its_store_a_process_is_not_healthy(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    assert await ask() == (
        503,
        {"status": "down", "store": "down", "archive": "ok", "hub": "idle"},
    )


async def test_without_its_database_neither(monkeypatch):
    def fail():
        raise OperationalError("could not log in with password hunter2")

    monkeypatch.setattr(server, "ping", fail)
    assert await ask() == (
        503,
        {"status": "down", "store": "ok", "archive": "down", "hub": "idle"},
    )


async def test_an_archive_that_is_turned_off_is_not_asked(settings, monkeypatch):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    monkeypatch.setattr(server, "ping", None)
    assert await ask() == (200, {"status": "ok", "store": "ok", "archive": "off", "hub": "idle"})


async def test_a_hub_that_hears_is_told_from_one_that_is_deaf(monkeypatch):
    page = Page()
    await hub().watch("job:parcel-1", page)
    try:
        assert (await ask())[1]["hub"] == "ok"
        monkeypatch.setattr("jobs.push.hub.DEAF_AFTER", -1)
        assert await ask() == (
            200,
            {"status": "ok", "store": "ok", "archive": "ok", "hub": "deaf"},
        )
    finally:
        await hub().unwatch("job:parcel-1", page)


async def test_it_is_only_to_be_looked_at_and_never_cached():
    client = AsyncClient()
    assert (await client.post("/health/")).status_code == 405
    assert "no-store" in (await client.get("/health/"))["Cache-Control"]
    await async_reader().close()
