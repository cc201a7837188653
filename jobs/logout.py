"""Whoever logs out, is deactivated, deleted or changes the password stops listening, on every server process.

Django tells nobody of `QuerySet.update()`, raw SQL, and a session that expires. What rights end that way, and by changed
groups and permissions, is noticed when a socket reads its rights again: within one `TICKET_AGE`.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models.signals import class_prepared, post_delete, post_save

from . import publisher
from .access import visitor_owner
from .events import LOGOUT
from .repository import owner_name

HARMLESS = frozenset({"last_login"})  # what Django itself saves at each login


def close_sockets(owner: str) -> None:
    """Close all sockets of an owner; a page that may still listen comes back by itself."""
    publisher.broadcast({"type": LOGOUT, "owner": owner})


def connect() -> None:
    """Listen to Django's signals; may be called twice.

    A signal names the class that was saved, so each class that a user can be saved by is listened to. Listening to all
    classes would cost every delete of the project its fast path.
    """
    user_logged_out.connect(_on_logout, dispatch_uid="jobs.logout")
    for model in apps.get_models():
        _connect_class(model)
    class_prepared.connect(_connect_class, dispatch_uid="jobs.logout")  # a class that is made later


def _connect_class(sender: Any, **_: Any) -> None:
    """Listen to a class if it is the user's, a proxy or a child of it, or a parent that holds some of its columns."""
    with suppress(ImproperlyConfigured):  # a project without users
        user = get_user_model()
        if issubclass(sender, user) or issubclass(user, sender):
            post_save.connect(_on_user_saved, sender=sender, dispatch_uid="jobs.logout")
            post_delete.connect(_on_user_deleted, sender=sender, dispatch_uid="jobs.logout")


def _on_logout(sender: Any, request: Any, user: Any, **_: Any) -> None:
    for owner in (owner_name(user), visitor_owner(getattr(request, "session", None))):
        if owner:
            close_sockets(owner)


def _on_user_saved(sender: Any, instance: Any, created: bool, update_fields: Any, using: str, **_: Any) -> None:
    if not created and (update_fields is None or not HARMLESS.issuperset(update_fields)):
        _close_on_commit(instance, using)


def _on_user_deleted(sender: Any, instance: Any, using: str, **_: Any) -> None:
    _close_on_commit(instance, using)


def _close_on_commit(instance: Any, using: str) -> None:
    """Close the user's sockets once others can see the change: a page that comes back earlier would get in again."""
    pk = getattr(instance, get_user_model()._meta.pk.attname, instance.pk)  # a child's own key may be another parent's
    transaction.on_commit(partial(close_sockets, f"user:{pk}"), using=using, robust=True)
