"""The health check of a server process: it reports store, archive and hub, and no secrets."""

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
    """Return the status and the JSON of the health check."""
    try:
        response = await AsyncClient().get("/health/")
    finally:
        await async_reader().close()
    return response.status_code, response.json()


async def test_a_process_with_store_and_archive_is_healthy():
    assert await ask() == (200, {"status": "ok", "store": "ok", "archive": "ok", "hub": "idle"})


async def test_without_the_store_a_process_is_unhealthy(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    assert await ask() == (
        503,
        {"status": "down", "store": "down", "archive": "ok", "hub": "idle"},
    )


async def test_without_the_database_a_process_is_unhealthy(monkeypatch):
    def fail():
        raise OperationalError("could not log in with password hunter2")

    monkeypatch.setattr(server, "ping", fail)
    assert await ask() == (
        503,
        {"status": "down", "store": "ok", "archive": "down", "hub": "idle"},
    )


async def test_an_archive_that_is_turned_off_is_not_queried(settings, monkeypatch):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    monkeypatch.setattr(server, "ping", None)
    assert await ask() == (200, {"status": "ok", "store": "ok", "archive": "off", "hub": "idle"})


async def test_a_deaf_hub_is_reported_but_healthy(monkeypatch):
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


async def test_health_answers_only_get_and_is_never_cached():
    client = AsyncClient()
    assert (await client.post("/health/")).status_code == 405
    assert "no-store" in (await client.get("/health/"))["Cache-Control"]
    await async_reader().close()
