"""A right that was taken away ends, and no socket logs anybody out (FAULTS.md H5, H22, F53)."""

import asyncio
from importlib import import_module
from time import monotonic

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as project
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError
from django.test import Client
from django.utils.functional import SimpleLazyObject

from jobs import access
from jobs.access import Viewer, bearer_of, ticket, viewer_of_scope
from jobs.live.consumer import TRY_LATER
from jobs.push.hub import hub
from jobs.testing import JobCommunicator
from tests.factories import ANN, OWNER, browser, staff, started_job, user

pytestmark = pytest.mark.usefixtures("database_file", "nothing_left")

AGE = 0.5  # seconds
ENGINES = ["db", "cache", "cached_db", "file", "signed_cookies"]

started_job = sync_to_async(started_job)


@pytest.fixture
def short(settings):
    """Let rights last for half a second, and be looked at often."""
    settings.JOBS = settings.JOBS | {"TICKET_AGE": AGE, "RECONCILE_SECONDS": 0.05}


@pytest.fixture
def ada():
    return user()


@pytest.fixture
def ada_s_session(ada):
    return browser(ANN, ada).session


def update(**values):
    """Change all users without a signal."""
    get_user_model().objects.update(**values)


def delete_unheard():
    """Delete all users without a signal."""
    get_user_model().objects.all()._raw_delete("default")


def scope_of(client):
    """Return the scope of a socket that a browser opens, with its cookie and no middleware."""
    cookie = f"{project.SESSION_COOKIE_NAME}={client.cookies[project.SESSION_COOKIE_NAME].value}"
    return {"type": "websocket", "headers": [(b"cookie", cookie.encode())]}


async def refused(page, **target):
    """Subscribe without a pause until it is refused; return when the last good one was sent."""
    last_good = monotonic()
    while True:
        asked_at = monotonic()
        answer = await page.subscribe(**target)
        while answer["event"] not in ("subscribed", "error"):
            answer = await page.next()
        if answer["event"] == "error":
            assert answer["code"] == "not_found"
            return last_good
        last_good = asked_at
        await asyncio.sleep(0.02)


# A right that is taken away


@pytest.mark.usefixtures("short")
async def test_h22_who_subscribes_again_and_again_keeps_a_lost_right_no_longer(
    ada_s_session, ada, settings
):
    settings.JOBS = settings.JOBS | {"MAX_JOBS_PER_SECOND": 10_000}
    job = await started_job(owner=ada)
    async with JobCommunicator(ada_s_session) as page:
        await page.subscribe(job=job.id)
        taken_away_at = monotonic()
        await sync_to_async(update)(is_active=False)
        async with asyncio.timeout(10):
            assert await refused(page, job=job.id) < taken_away_at + AGE


@pytest.mark.usefixtures("short")
async def test_h22_subscribing_again_to_another_thing_does_not_keep_the_first_alive(
    ada_s_session, ada
):
    job = await started_job(owner=ada)
    async with JobCommunicator(ada_s_session) as page:
        await page.subscribe(job=job.id)
        await page.event("started")
        await page.subscribe(mine=True)
        await sync_to_async(update)(is_active=False)
        taken_away_at, refusals = monotonic(), []
        while len(refusals) < 2:
            if (frame := await page.next())["event"] == "error":
                refusals.append(frame["code"])
        assert refusals == ["not_found"] * 2 and monotonic() - taken_away_at < 2 * AGE


async def test_h22_ending_an_older_subscription_keeps_a_newer_one_of_its_name():
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        (older,) = hub().watchers()
        await page.subscribe(job=job.id)
        await page.event("started")
        await older._listener.drop(older.key, older)
        await sync_to_async(job.set_progress)(1, 2)
        await page.event("progress")


async def test_h22_an_expired_right_hears_no_push_even_without_a_check(settings, monkeypatch):
    settings.JOBS = settings.JOBS | {"TICKET_AGE": 30, "RECONCILE_SECONDS": 60}
    job = await started_job()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("started")
        monkeypatch.setattr(access, "monotonic", lambda: monotonic() + 31)
        await sync_to_async(job.set_progress)(1, 2)
        assert await page.receive_nothing()


@pytest.mark.usefixtures("short")
async def test_h22_a_socket_with_only_a_ticket_ends_when_it_expires(monkeypatch):
    job = await started_job()
    bearer = Viewer(topic=f"job:{job.id}", as_of=monotonic())
    monkeypatch.setattr("jobs.live.consumer.bearer_of", lambda text: bearer)
    async with JobCommunicator({}) as page:
        await page.subscribe(job=job.id, ticket="any")
        await page.event("started")
        while (frame := await page.next())["event"] != "error":
            pass
        assert frame["code"] == "not_found"
        assert AGE <= monotonic() - bearer.as_of < 2 * AGE


def test_h22_a_ticket_s_age_counts_from_its_own_time(monkeypatch):
    given = ticket("tag:red")
    really_time = access.time
    monkeypatch.setattr(access, "time", lambda: really_time() + 800)
    assert monotonic() - 802 < bearer_of(given).as_of < monotonic() - 798
    monkeypatch.setattr(access, "time", lambda: really_time() - 800)  # another server's clock
    assert bearer_of(given).as_of <= monotonic()


async def test_h22_rights_read_at_the_opening_are_as_old_as_the_socket(settings, ada, monkeypatch):
    settings.JOBS = settings.JOBS | {"TICKET_AGE": 100, "RECONCILE_SECONDS": 1}
    page = JobCommunicator({})
    page.scope["user"] = ada
    async with page:
        await page.ask(action="ping")
        await sync_to_async(update)(is_active=False)
        monkeypatch.setattr(access, "monotonic", lambda: monotonic() + 99)
        assert (await page.subscribe(mine=True))["code"] == "not_found"


@pytest.mark.usefixtures("short")
async def test_h22_all_subscriptions_of_a_socket_share_one_reading_of_its_rights(ada, monkeypatch):
    read, really_read = [], access._scope_viewer
    monkeypatch.setattr(
        access, "_scope_viewer", lambda *args: read.append(args) or really_read(*args)
    )
    jobs = [await started_job(owner=ada) for _ in range(5)]
    page = JobCommunicator({})
    page.scope["user"] = ada
    async with page:
        for job in jobs:
            await page.subscribe(job=job.id)
        del read[:]
        tickets = 0
        while tickets < 5:
            tickets += (await page.next())["event"] == "ticket"
        assert len(read) <= 2


def test_h22_staff_whose_group_loses_the_permission_see_no_more():
    sam, group = staff("sam"), Group.objects.create(name="post")
    group.permissions.set(Permission.objects.filter(codename="view_job"))
    sam.groups.add(group)
    scope = {"user": get_user_model().objects.get(pk=sam.pk)}
    assert access._scope_viewer(scope, monotonic()).is_staff
    group.permissions.clear()
    assert not access._scope_viewer(scope, None).is_staff


# A user whom a middleware of the project has found


@pytest.mark.usefixtures("short")
async def test_h22_a_token_user_s_socket_outlives_a_ticket_s_age(ada):
    job, page = await started_job(owner=ada), JobCommunicator({})
    page.scope["user"] = SimpleLazyObject(lambda: ada)
    async with page:
        await page.subscribe(job=job.id)
        for _age in range(3):
            while (frame := await page.next())["event"] != "ticket":
                assert frame["event"] != "error"
        await sync_to_async(job.complete)()
        assert (await page.event("ready"))["id"] == job.id


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "end", [lambda: update(is_active=False), delete_unheard], ids=["deactivated", "deleted"]
)
async def test_h22_a_token_s_user_who_is_gone_hears_no_more(ada, end):
    job, page = await started_job(owner=ada), JobCommunicator({})
    page.scope["user"] = ada
    async with page:
        await page.subscribe(job=job.id)
        await page.event("started")
        await sync_to_async(end)()
        while (frame := await page.next())["event"] == "ticket":
            pass
        assert frame["code"] == "not_found"


def test_h22_a_user_of_the_session_is_read_from_the_session_again(ada, ada_s_session):
    scope = {"user": ada, "session": ada_s_session}
    ada_s_session["_auth_user_id"]  # as Channels' middleware does when the socket opens
    assert f"user:{ada.pk}" in access._scope_viewer(scope, None).owners
    ada_s_session.__class__(ada_s_session.session_key).delete()
    assert access._scope_viewer(scope, None) == Viewer()


def test_h22_a_user_outside_the_database_cannot_be_read_again():
    class TokenUser(AnonymousUser):
        pk, is_active, is_authenticated, is_anonymous = 7, True, True, False

    assert access._scope_viewer({"user": TokenUser()}, monotonic()).owners == ("user:7",)
    assert access._scope_viewer({"user": TokenUser()}, None) == Viewer()


def test_h22_a_custom_user_without_rights_of_staff_is_a_viewer_too(ada):
    class Plain:
        pk, is_active, is_authenticated = 7, True, True

    assert access._viewer(Plain(), None) == Viewer(("user:7",))


# Nobody is logged out by a socket


@pytest.fixture(params=ENGINES)
def engine(request, settings, tmp_path):
    """Keep the sessions in one of Django's ways."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    return import_module(settings.SESSION_ENGINE).SessionStore


def rotate(settings):
    """Sign with another key from now on."""
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, of the same great length as the one before it"


def logged_in(ada):
    client = Client()
    client.force_login(ada)
    return client


def is_logged_in(client):
    return client.get("/jobs/").wsgi_request.user.is_authenticated


async def test_h22_a_new_secret_key_logs_nobody_out_and_the_socket_knows_them(
    engine, settings, ada
):
    client = await sync_to_async(logged_in)(ada)
    rotate(settings)
    key = client.cookies["sessionid"].value
    for opened_at in (monotonic(), None):
        assert await viewer_of_scope(scope_of(client), opened_at) == Viewer((f"user:{ada.pk}",))
        given = {"session": engine(key)}
        assert await viewer_of_scope(given, opened_at) == Viewer((f"user:{ada.pk}",))
    assert await sync_to_async(is_logged_in)(client)


async def test_h22_a_new_password_ends_the_socket_s_rights_and_leaves_the_session(engine, ada):
    client = await sync_to_async(logged_in)(ada)
    await sync_to_async(update)(password="new")
    assert await viewer_of_scope(scope_of(client)) == Viewer()
    stored = engine(client.cookies["sessionid"].value)
    assert await sync_to_async(stored.get)("_auth_user_id") == str(ada.pk)


def test_h22_a_ticket_of_the_key_before_is_good(settings):
    given = ticket("tag:red")
    rotate(settings)
    assert bearer_of(given) == Viewer(topic="tag:red")
    settings.SECRET_KEY_FALLBACKS = []
    assert bearer_of(given) is None


async def test_h22_a_file_of_a_session_that_expired_is_left_to_django(settings, tmp_path, ada):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.file"
    settings.SESSION_FILE_PATH = str(tmp_path)
    client = await sync_to_async(logged_in)(ada)
    settings.SESSION_COOKIE_AGE = -1
    before = sorted(tmp_path.iterdir())
    assert await viewer_of_scope(scope_of(client)) == Viewer()
    assert sorted(tmp_path.iterdir()) == before != []


async def test_h22_a_cookie_means_nothing_where_no_sessions_are_installed(ada, monkeypatch):
    def not_installed(cls):
        raise RuntimeError("Model class Session doesn't declare an explicit app_label")

    client = await sync_to_async(logged_in)(ada)
    assert await viewer_of_scope(scope_of(client)) != Viewer()
    monkeypatch.setattr(SessionStore, "get_model_class", classmethod(not_installed))
    assert await viewer_of_scope(scope_of(client)) == Viewer()


async def test_h22_a_session_is_a_visitor_s_where_no_users_are_installed(ada, monkeypatch):
    client = await sync_to_async(browser)(ANN, ada)
    monkeypatch.setattr(access.apps, "is_installed", lambda name: False)
    assert await viewer_of_scope(scope_of(client)) == Viewer((OWNER,))


# The session ends


@pytest.mark.usefixtures("short")
async def test_f53_a_page_whose_session_has_ended_hears_no_more_and_is_told(ada, ada_s_session):
    job = await started_job(owner=ada)
    async with JobCommunicator(ada_s_session, job.id) as page:
        await page.event("started")
        await sync_to_async(ada_s_session.__class__(ada_s_session.session_key).delete)()
        while (frame := await page.next())["event"] == "ticket":
            pass
        assert frame["code"] == "not_found"
        await sync_to_async(job.complete)()
        assert await page.receive_nothing()


async def test_a_silent_database_closes_a_socket_with_try_again_later(monkeypatch):
    def away(session):
        raise OperationalError("the database is away")

    monkeypatch.setattr(access, "_user_of", away)
    async with JobCommunicator(ANN) as page:
        await page.send_json_to({"action": "subscribe", "mine": True})
        assert await page.close_code() == TRY_LATER
