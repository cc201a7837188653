"""What the host project lacks is said at start-up, with ids that stay."""

import re
from pathlib import Path

import pytest
from celery import shared_task
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import run_checks

from jobs.checks import project
from jobs.checks.project import (
    check_archive,
    check_asgi,
    check_broker,
    check_cookies,
    check_eager,
    check_handlers,
    check_middleware,
    check_redelivery,
    check_redis,
    check_sessions,
    check_templates,
)
from jobs.middleware import StoreUnavailableMiddleware
from jobs.queues.celery import inspection
from project.celery import app
from tests import handlers  # noqa: F401 - loads what the tests' tasks name
from tests.tasks import send_parcel

from .test_settings import ids


class Own(StoreUnavailableMiddleware):
    """A project's own version."""


@pytest.fixture
def broker(monkeypatch):
    """Set the broker's transport and options."""
    return lambda *given: monkeypatch.setattr(inspection, "broker_options", lambda: given)


@pytest.fixture
def only_send_parcel(monkeypatch):
    """Other tests make tasks of their own, some of them without a handler."""
    assert "tests.tasks.send_parcel" in inspection.job_tasks()
    monkeypatch.setattr(inspection, "job_tasks", lambda: {"tests.tasks.send_parcel": send_parcel})


@pytest.mark.usefixtures("only_send_parcel")
def test_a_task_whose_handler_is_loaded_can_be_started():
    assert check_handlers() == []


@pytest.mark.usefixtures("only_send_parcel")
def test_a_task_whose_handler_nobody_has_loaded_cannot(monkeypatch):
    monkeypatch.setattr(send_parcel, "handler_class", "tests.handlers.Misspelt")
    (error,) = check_handlers()
    assert error.id == "jobs.E005"
    assert "tests.tasks.send_parcel" in error.msg and "tests.handlers.Misspelt" in error.hint


@pytest.mark.usefixtures("only_send_parcel")
def test_a_task_with_a_handler_that_is_no_job_task_is_named():
    @shared_task(name="shop.tasks.pack", handler_class="tests.handlers.PostHandler")
    def pack():
        """Pack."""

    (error,) = check_handlers()
    pack.app.tasks.unregister("shop.tasks.pack")
    assert error.id == "jobs.E007" and "shop.tasks.pack" in error.msg and "@job_task" in error.hint


@pytest.mark.parametrize(("is_on", "found"), [(True, ["jobs.W012"]), (False, [])])
def test_eager_mode_is_named(is_on, found):
    app.conf.task_always_eager = is_on
    checked = check_eager()
    app.conf.task_always_eager = False
    assert ids(checked) == found


@pytest.mark.parametrize(
    ("transport", "options", "found"),
    [
        ("redis", {"socket_timeout": 3}, []),
        ("redis", {}, ["jobs.W006"]),
        ("rediss", {"socket_timeout": None}, ["jobs.W006"]),
        ("sentinel", {"visibility_timeout": 3600}, ["jobs.W006"]),
        ("amqp", {}, []),
        ("amqp", {"confirm_publish": True}, ["jobs.W006"]),
        ("amqps", {"confirm_publish": True, "read_timeout": 2}, []),
    ],
)
def test_a_broker_that_could_hang_for_ever_is_named(broker, transport, options, found):
    broker(transport, options)
    assert ids(check_broker()) == found


@pytest.mark.usefixtures("only_send_parcel")
@pytest.mark.parametrize(
    ("transport", "options", "limit", "found"),
    [
        ("redis", {}, None, ["jobs.W013"]),
        ("redis", {"visibility_timeout": 7200}, None, []),
        ("sentinel", {"visibility_timeout": 7200}, 7200, ["jobs.W013"]),
        ("rediss", {"visibility_timeout": 7201}, 7200, []),
        ("amqp", {}, None, []),
    ],
)
def test_a_redis_that_delivers_again_what_runs_for_long_is_named(
    broker, monkeypatch, transport, options, limit, found
):
    monkeypatch.setattr(send_parcel, "acks_late", True)
    monkeypatch.setattr(send_parcel, "time_limit", limit)
    broker(transport, options)
    assert ids(check_redelivery()) == found
    assert all("tests.tasks.send_parcel" in message.msg for message in check_redelivery())


@pytest.mark.usefixtures("only_send_parcel")
def test_a_redis_whose_messages_are_acknowledged_at_once_delivers_none_again(broker):
    broker("redis", {})
    assert check_redelivery() == []


def test_the_broker_s_transport_and_options_are_celery_s_own():
    transport, options = inspection.broker_options()
    assert transport == "redis" and options["socket_timeout"] == 3


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        (["jobs.middleware.StoreUnavailableMiddleware"], []),
        ([f"{__name__}.Own"], []),
        (["django.middleware.common.CommonMiddleware"], ["jobs.W007"]),
        (["there.is.none"], ["jobs.W007"]),
        (["django.views.decorators.csrf.csrf_protect"], ["jobs.W007"]),
        ([], ["jobs.W007"]),
    ],
)
def test_the_middleware_for_an_outage_is_looked_for(settings, middleware, found):
    settings.MIDDLEWARE = middleware
    assert ids(check_middleware()) == found


class OwnSessions(SessionMiddleware):
    """A project's own version."""


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        (["django.contrib.sessions.middleware.SessionMiddleware"], []),
        ([f"{__name__}.OwnSessions"], []),
        (["django.middleware.common.CommonMiddleware", "there.is.none"], ["jobs.W014"]),
    ],
)
def test_a_project_without_sessions_is_told_who_cannot_start_jobs(settings, middleware, found):
    settings.MIDDLEWARE = middleware
    assert ids(check_sessions()) == found


def test_a_waiting_page_without_a_template_is_named(settings):
    assert check_templates() == []
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [], "APP_DIRS": False}]
    assert ids(check_templates()) == ["jobs.E010"]
    settings.TEMPLATES = []
    assert ids(check_templates()) == ["jobs.E010"]


@pytest.mark.parametrize(
    ("given", "found"), [({}, []), ({"ARCHIVE": False}, ["jobs.W008"]), ([], [])]
)
def test_an_archive_that_was_turned_off_is_named(settings, given, found):
    settings.JOBS = given
    assert ids(check_archive()) == found


@pytest.mark.parametrize(
    ("application", "found"), [("project.asgi.application", []), (None, ["jobs.W009"])]
)
def test_a_project_without_an_asgi_application_has_no_sockets(settings, application, found):
    settings.ASGI_APPLICATION = application
    assert ids(check_asgi()) == found
    settings.JOBS = {"SOCKET_PATH": ""}  # none are wanted
    assert check_asgi() == []


@pytest.mark.parametrize(
    ("debug", "session", "csrf", "found"),
    [
        (False, True, True, []),
        (False, False, True, ["SESSION_COOKIE_SECURE"]),
        (False, False, False, ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"]),
        (True, False, False, []),
    ],
)
def test_cookies_in_clear_are_named(settings, debug, session, csrf, found):
    settings.DEBUG, settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE = (
        debug,
        session,
        csrf,
    )
    messages = check_cookies()
    assert ids(messages) == ["jobs.W010"] * bool(found)
    assert all(name in messages[0].hint for name in found)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://localhost:6379/0", []),
        ("redis://[::1]:6379", []),
        ("unix:///run/redis.sock", []),
        ("rediss://:secret@redis.example:6380", []),
        ("redis://user:secret@redis.example", []),
        ("redis://redis.example:6379/0", ["jobs.W011"]),
        ("rediss://redis.example", ["jobs.W011"]),
        ("redis+sentinel://127.0.0.1,localhost:26380/main", []),
        ("redis+sentinel://:secret@one.example,two.example/main", []),
        ("redis+sentinel://one.example,two.example/main", ["jobs.W011"]),
        ("redis+sentinel://one.example", []),  # malformed, which is said by another check
    ],
)
def test_a_redis_on_the_network_without_a_password_is_named(settings, url, found):
    settings.JOBS = {"REDIS_URL": url}
    settings.DEBUG = False
    assert ids(check_redis()) == found
    settings.DEBUG = True
    assert check_redis() == []


@pytest.mark.django_db  # Django's own check of JSON fields asks the database
def test_what_only_a_public_site_needs_is_left_to_check_deploy(settings):
    settings.DEBUG, settings.SESSION_COOKIE_SECURE = False, False
    assert "jobs.W010" not in ids(run_checks())
    assert "jobs.W010" in ids(run_checks(include_deployment_checks=True))


def test_each_check_has_an_id_of_its_own():
    given = re.findall(r'id="jobs\.([EW]\d+)"', Path(project.__file__).read_text())
    errors = ["E005", "E007", "E009", "E010"]
    warnings = ["W006", "W007", "W008", "W009", "W010", "W011", "W012", "W013", "W014"]
    assert sorted(given) == [*errors, *warnings]
