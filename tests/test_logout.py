"""Whoever logs out, is deactivated or changes the password stops listening."""

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from jobs import logout, publisher

from .factories import ANN, browser, user
from .surroundings import database_file  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture
def told(monkeypatch):
    """Return the owners whose sockets are to be closed."""
    owners = []
    monkeypatch.setattr(publisher, "broadcast", lambda message: owners.append(message["owner"]))
    return owners


def test_logging_out_closes_the_sockets_of_the_user_and_of_the_visitor(told):
    ada = user()
    client = browser(ANN, ada)
    client.post("/accounts/logout/")
    assert told == [f"user:{ada.pk}", "visitor:ann"]


def test_a_logout_of_nobody_closes_nothing(told):
    browser().post("/accounts/logout/")
    assert told == []


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "new"}, {"is_staff": True}])
def test_a_change_of_the_user_closes_the_sockets(told, change):
    ada = user()
    for name, value in change.items():
        setattr(ada, name, value)
    ada.save()
    assert told == [f"user:{ada.pk}"]


def test_a_new_user_and_a_login_close_nothing(told):
    ada = user()
    ada.last_login = timezone.now()
    ada.save(update_fields=["last_login"])
    browser(user=ada)
    assert told == []


def test_closing_goes_to_every_server_process(monkeypatch):
    sent = []
    monkeypatch.setattr(publisher, "broadcast", sent.append)
    logout.close_sockets("user:7")
    assert sent == [{"type": "job.logout", "owner": "user:7"}]


def test_listening_twice_is_listening_once(told):
    logout.connect()
    ada = user()
    ada.save()
    assert told == [f"user:{ada.pk}"]


def test_a_channel_layer_that_is_away_does_not_keep_anybody_from_logging_out(settings):
    settings.CHANNEL_LAYERS = {}
    assert browser(user=user()).post("/accounts/logout/").status_code == 302
    assert get_user_model().objects.exists()
