"""A user who logs out, is deactivated or changes the password stops listening."""

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save
from django.test.utils import isolate_apps
from django.utils import timezone

from jobs.live import logout
from jobs.models import JobRecord
from jobs.push import publisher
from tests.factories import ANN, browser, user

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture
def closed(monkeypatch):
    """Return the owners whose sockets are to be closed."""
    owners = []
    monkeypatch.setattr(publisher, "broadcast", lambda message: owners.append(message["owner"]))
    return owners


def test_logging_out_closes_the_sockets_of_the_user_and_of_the_visitor(closed):
    ada = user()
    client = browser(ANN, ada)
    client.post("/accounts/logout/")
    assert closed == [f"user:{ada.pk}", "visitor:ann"]


def test_a_logout_of_nobody_closes_nothing(closed):
    browser().post("/accounts/logout/")
    assert closed == []


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "new"}, {"is_staff": True}])
def test_a_change_of_the_user_closes_the_sockets(closed, change):
    ada = user()
    for name, value in change.items():
        setattr(ada, name, value)
    ada.save()
    assert closed == [f"user:{ada.pk}"]


def test_a_new_user_and_a_login_close_nothing(closed):
    ada = user()
    ada.last_login = timezone.now()
    ada.save(update_fields=["last_login"])
    browser(user=ada)
    assert closed == []


def test_closing_goes_to_every_server_process(monkeypatch):
    sent = []
    monkeypatch.setattr(publisher, "broadcast", sent.append)
    logout.close_sockets("user:7")
    assert sent == [{"type": "job.logout", "owner": "user:7"}]


def test_listening_twice_is_listening_once(closed):
    logout.connect()
    ada = user()
    ada.save()
    assert closed == [f"user:{ada.pk}"]


def test_logging_out_works_while_the_channel_layer_is_down(settings):
    settings.CHANNEL_LAYERS = {}
    assert browser(user=user()).post("/accounts/logout/").status_code == 302
    assert get_user_model().objects.exists()


# Other ways to change a user


@isolate_apps("django.contrib.auth", "django.contrib.contenttypes")
def test_a_change_through_a_proxy_that_was_made_later_closes_the_sockets(closed):
    class Member(get_user_model()):
        class Meta:
            proxy = True
            app_label = "auth"

    ada = user()
    member = Member.objects.get(pk=ada.pk)
    member.set_password("new")
    member.save()
    assert closed == [f"user:{ada.pk}"]


@isolate_apps("django.contrib.auth", "django.contrib.contenttypes")
def test_a_change_through_a_child_s_table_closes_the_sockets_of_the_user(closed):
    class Badge(models.Model):  # noqa: DJ008
        badge_id = models.AutoField(primary_key=True)

        class Meta:
            app_label = "auth"

    class Guard(Badge, get_user_model()):  # noqa: DJ008
        class Meta:
            app_label = "auth"

    post_save.send(
        Guard, instance=Guard(id=7, badge_id=3), created=False, update_fields=None, using="default"
    )
    assert closed == ["user:7"]


def test_a_deleted_user_s_sockets_are_closed(closed):
    ada = user()
    name = f"user:{ada.pk}"
    get_user_model().objects.filter(pk=ada.pk).delete()
    assert closed == [name]


def test_sockets_are_closed_when_others_can_see_the_change(closed):
    ada = user()
    with transaction.atomic():
        ada.save()
        assert closed == []
    assert closed == [f"user:{ada.pk}"]


def test_a_change_that_is_rolled_back_closes_nothing(closed):
    ada = user()
    with pytest.raises(ValueError, match="no"), transaction.atomic():
        ada.save()
        raise ValueError("no")
    assert closed == []


def test_other_models_keep_their_fast_delete(closed):
    assert not post_delete.has_listeners(JobRecord) and post_delete.has_listeners(get_user_model())


def test_a_project_without_users_can_be_listened_to(monkeypatch):
    def none():
        raise ImproperlyConfigured("AUTH_USER_MODEL refers to a model that has not been installed")

    monkeypatch.setattr(logout, "get_user_model", none)
    logout.connect()
