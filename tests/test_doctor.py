"""The doctor: each step says in one line what is well, or what is wrong and what to do, and none hangs."""

import threading
import time

import pytest
from django.core.checks import Error
from django.db import OperationalError

from jobs import diagnosis, doctor, doorstep, store, workers
from jobs.connection import Standby
from jobs.diagnosis import Wrong, within
from jobs.models import JobRecordQuerySet
from jobs.probe import Closed

from .factories import NOWHERE
from .surroundings import database_file  # noqa: F401 - a fixture

HOST = "https://example.org"


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Have less of it."""
    for module in (diagnosis, doctor, doorstep):
        monkeypatch.setattr(module, "PATIENCE", 2.0)


@pytest.fixture
def one_worker(monkeypatch):
    monkeypatch.setattr(workers, "ask_broker", lambda: "redis://broker")
    monkeypatch.setattr(workers, "tasks_of_workers", lambda: {"celery@here": set(workers.job_tasks())})


def found(step, url=""):
    """Return what one step has found."""
    return next(finding for finding in doctor.examine(url) if finding.step == step)


@pytest.mark.usefixtures("one_worker", "database_file")
def test_a_system_in_which_all_is_well_passes_every_step(redis_client):
    findings = list(doctor.examine())
    assert [finding for finding in findings if not finding.is_ok] == []
    steps = ["settings", "store", "archive", "broker", "tasks", "worker", "layer", "route", "static"]
    assert [finding.step for finding in findings] == steps
    assert redis_client.dbsize() == 0  # it has left nothing behind


@pytest.mark.django_db
def test_what_a_system_check_finds_is_repeated(monkeypatch):
    monkeypatch.setattr(doctor, "run_checks", lambda: [Error("No layer.", hint="Set one.", id="jobs.E004")])
    with pytest.raises(Wrong, match=r"jobs\.E004: No layer\. Set one\."):
        doctor._settings()


@pytest.mark.django_db
def test_other_apps_checks_and_silenced_ones_are_passed_over(monkeypatch, settings):
    settings.SILENCED_SYSTEM_CHECKS = ["jobs.E004"]
    monkeypatch.setattr(doctor, "run_checks", lambda: [Error("x", id="jobs.E004"), Error("y", id="shop.E001")])
    assert doctor._settings() == "no system check complains"


def test_a_store_that_is_away_is_named_with_what_to_do(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(Wrong, match="REDIS_URL"):
        doctor._store()


@pytest.mark.parametrize(
    ("clock", "policy", "said"),
    [(0, "allkeys-lru", "noeviction"), (3600, "", r"\+3600 s"), (-60, "noeviction", "-60")],
)
def test_a_store_that_evicts_or_lives_in_another_time_is_wrong(monkeypatch, clock, policy, said):
    monkeypatch.setattr(store, "examine", lambda: (int((time.time() + clock) * 1_000_000), policy))
    with pytest.raises(Wrong, match=said):
        doctor._store()


def test_a_store_behind_sentinels_is_named_and_needs_a_replica(monkeypatch):
    monkeypatch.setattr(store, "standby", lambda: Standby("main", "10.0.0.5:6379", 2))
    assert doctor._store().endswith("main is at 10.0.0.5:6379 now and has 2 to take its place")
    monkeypatch.setattr(store, "standby", lambda: Standby("main", "10.0.0.5:6379", 0))
    with pytest.raises(Wrong, match=r"main, at present 10\.0\.0\.5:6379, has no replica"):
        doctor._store()


def test_an_archive_that_does_not_answer_is_wrong(monkeypatch, settings):
    def fail(self):
        raise OperationalError("no such table: jobs_jobrecord")

    monkeypatch.setattr(JobRecordQuerySet, "exists", fail)
    with pytest.raises(Wrong, match="migrate"):
        doctor._archive()
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    assert doctor._archive().startswith("off")


def test_a_broker_that_hangs_is_not_waited_for(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(doctor, "PATIENCE", 0.05)
    monkeypatch.setattr(workers, "ask_broker", gate.wait)
    with pytest.raises(Wrong, match="hangs"):
        doctor._broker()
    gate.set()


def test_a_broker_that_is_away_is_named(monkeypatch):
    def fail():
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(workers, "ask_broker", fail)
    with pytest.raises(Wrong, match="refused.*CELERY_BROKER_URL"):
        doctor._broker()


def test_the_broker_is_really_asked():
    assert workers.ask_broker().startswith("redis://")


def test_a_project_without_a_job_task_is_told_how_to_make_one(monkeypatch):
    monkeypatch.setattr(workers, "job_tasks", dict)
    with pytest.raises(Wrong, match="@job_task"):
        doctor._tasks()


@pytest.mark.parametrize(
    ("known", "said"), [({}, "Start one"), ({"old@here": {"shop.tasks.pay"}}, "Restart the workers")]
)
def test_no_worker_and_one_with_old_code_are_told_apart(monkeypatch, known, said):
    monkeypatch.setattr(workers, "tasks_of_workers", lambda: known)
    with pytest.raises(Wrong, match=said):
        doctor._worker()


def test_a_layer_that_carries_nothing_is_wrong(settings):
    settings.CHANNEL_LAYERS = {"default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [NOWHERE]}}}
    with pytest.raises(Wrong, match="CHANNEL_LAYERS"):
        doctor._layer()


def test_a_layer_that_is_not_the_store_s_own_is_tried_too(settings):
    config = {"hosts": settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"], "symmetric_encryption_keys": ["secret"]}
    settings.CHANNEL_LAYERS = {"default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": config}}
    assert "heard" in doctor._layer()


async def deaf_application(scope, receive, send):
    raise ValueError("No application configured for scope type 'websocket'")


@pytest.mark.parametrize(
    ("application", "said"),
    [
        (None, "not set"),
        ("tests.test_doctor.deaf_application", "with_sockets"),
        ("jobs.routing.none", "no attribute|does not define"),
    ],
)
def test_an_application_that_opens_no_sockets_is_wrong(settings, application, said):
    settings.ASGI_APPLICATION = application
    with pytest.raises(Wrong, match=said):
        doorstep.find_route()


@pytest.mark.usefixtures("database_file")
def test_the_application_is_asked_for_a_host_that_it_serves(settings):
    settings.ALLOWED_HOSTS = ["*", ".example.org"]
    settings.ASGI_APPLICATION = "jobs.routing.websocket_application"
    assert "opens /ws/jobs/" in doorstep.find_route()


def test_files_that_are_not_found_are_wrong(settings):
    settings.STATICFILES_DIRS = []
    doorstep.finders.get_finder.cache_clear()
    try:
        with pytest.raises(Wrong, match="INSTALLED_APPS"):
            doorstep.find_static()
    finally:
        doorstep.finders.get_finder.cache_clear()


@pytest.mark.parametrize(("status", "kind"), [(404, "text/html"), (200, "text/html"), (301, "text/javascript")])
def test_files_that_are_not_served_are_wrong(monkeypatch, status, kind):
    monkeypatch.setattr(doorstep, "fetch", lambda address: (status, kind))
    with pytest.raises(Wrong, match="https://example.org/static/jobs/client.js answers"):
        doorstep.fetch_static(HOST)


class Door:
    """A socket of the public address that answers with what it is given."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, *where):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def say(self, **frame):
        pass

    def hear(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([Closed(4400)], "4400.*ALLOWED_HOSTS"),
        ([ConnectionResetError("reset")], "reset"),
        ([{"event": "error", "code": "not_found"}], "SECRET_KEY"),
        ([{"event": "subscribed"}, TimeoutError()], "did not arrive"),
    ],
)
def test_a_socket_through_which_nothing_comes_is_wrong(monkeypatch, answers, said):
    monkeypatch.setattr(doorstep, "PlainSocket", Door(*answers))
    with pytest.raises(Wrong, match=said):
        doorstep.try_socket(HOST)


def test_an_origin_that_should_be_refused_and_is_not_is_wrong(monkeypatch):
    monkeypatch.setattr(doorstep, "PlainSocket", Door({"event": "pong"}))
    with pytest.raises(Wrong, match="CSRF_TRUSTED_ORIGINS"):
        doorstep.try_origin(HOST)
    monkeypatch.setattr(doorstep, "PlainSocket", Door(Closed(4400)))
    assert "refused (4400)" in doorstep.try_origin(HOST)


@pytest.mark.usefixtures("one_worker", "database_file")
def test_an_address_where_nobody_is_makes_three_steps_wrong():
    wrong = [finding for finding in doctor.examine("http://127.0.0.1:1") if not finding.is_ok]
    assert [finding.step for finding in wrong] == ["socket", "origin", "static"]
    assert all("refused" in finding.text for finding in wrong)


def test_what_nobody_has_thought_of_is_a_finding_too(monkeypatch):
    monkeypatch.setattr(doctor, "STEPS", {"odd": lambda: 1 / 0})
    odd = found("odd")
    assert not odd.is_ok and odd.text == "ZeroDivisionError: division by zero"


def test_within_its_time_an_action_returns_or_raises():
    assert within(2, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(2, {}.popitem)
