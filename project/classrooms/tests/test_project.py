"""The runnable project around the example: its settings and its sockets."""

import runpy

import pytest
from channels.testing import WebsocketCommunicator
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from project import settings
from project.asgi import application


def settings_with(monkeypatch, **environment):
    """Return the settings as they are read in another environment."""
    for name in ("DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(settings.__file__)


def test_one_machine_needs_no_environment_variables(monkeypatch):
    values = settings_with(monkeypatch)
    assert values["DEBUG"]
    assert values["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_without_debug_a_secret_key_is_required(monkeypatch):
    with pytest.raises(ImproperlyConfigured, match="DEBUG is off and SECRET_KEY is not set"):
        settings_with(monkeypatch, DEBUG="0")


def test_without_debug_cookies_travel_over_https_only(monkeypatch):
    values = settings_with(
        monkeypatch, DEBUG="off", SECRET_KEY="s", ALLOWED_HOSTS="a.example, b.example"
    )
    assert values["ALLOWED_HOSTS"] == ["a.example", "b.example"]
    assert values["SESSION_COOKIE_SECURE"] and values["CSRF_COOKIE_SECURE"]


def test_another_database_gets_no_sqlite_options(monkeypatch):
    values = settings_with(monkeypatch, DATABASE_URL="postgres://me@db.example/school")
    assert "OPTIONS" not in values["DATABASES"]["default"]


async def test_an_unknown_socket_path_is_closed_as_not_found():
    socket = WebsocketCommunicator(application, "/ws/other/")
    assert await socket.connect() == (True, None)
    assert await socket.receive_output() == {"type": "websocket.close", "code": 4404}


@pytest.mark.django_db
def test_pages_allow_only_what_this_host_serves(client):
    policy = client.get(reverse("login"))["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["school", "classroom", "student", "rosterupload"])
def test_the_admin_shows_the_example(admin_client, model, classroom, students):
    assert admin_client.get(reverse(f"admin:classrooms_{model}_changelist")).status_code == 200
