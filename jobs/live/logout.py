"""Close an owner's sockets in all processes: at logout, deactivation, deletion, a new password.

Django sends no signal for `QuerySet.update()`, for SQL, and when a session expires. If a right
ends like that, or by a change of groups and permissions, its sockets close within one
`TICKET_AGE`, because each socket reads its rights again by then.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models.signals import class_prepared, post_delete, post_save

from jobs.access import visitor_owner
from jobs.push import publisher
from jobs.push.envelope import LOGOUT
from jobs.repository import owner_name

HARMLESS = frozenset({"last_login"})  # what Django itself saves at each login


def close_sockets(owner: str) -> None:
    """Close all sockets of an owner. A page that may still listen reconnects."""
    publisher.broadcast({"type": LOGOUT, "owner": owner})


def connect() -> None:
    """Listen to Django's signals; may be called twice.

    The sender of these signals is the class that was saved, so we connect to each class that can
    save a user. A receiver for all classes would cost every delete of the project its fast path.
    """
    user_logged_out.connect(_on_logout, dispatch_uid="jobs.logout")
    for model in apps.get_models():
        _connect_class(model)
    class_prepared.connect(_connect_class, dispatch_uid="jobs.logout")  # for later classes


def _connect_class(sender: Any, **_: Any) -> None:
    """Listen to a class if it is the user's: the model, a proxy, a child, or a parent of it."""
    with suppress(ImproperlyConfigured):  # a project without users
        user = get_user_model()
        if issubclass(sender, user) or issubclass(user, sender):
            post_save.connect(_on_user_saved, sender=sender, dispatch_uid="jobs.logout")
            post_delete.connect(_on_user_deleted, sender=sender, dispatch_uid="jobs.logout")


def _on_logout(sender: Any, request: Any, user: Any, **_: Any) -> None:
    for owner in (owner_name(user), visitor_owner(getattr(request, "session", None))):
        if owner:
            _close_on_commit(owner)


def _on_user_saved(instance: Any, created: bool, update_fields: Any, using: str, **_: Any) -> None:
    if not created and (update_fields is None or not HARMLESS.issuperset(update_fields)):
        _close_on_commit(_owner(instance), using)


def _on_user_deleted(instance: Any, using: str, **_: Any) -> None:
    _close_on_commit(_owner(instance), using)


def _owner(instance: Any) -> str:
    """Return the owner's name of a user, or of a child or parent of one."""
    key = get_user_model()._meta.pk.attname  # a child of several parents may have another key
    return f"user:{getattr(instance, key, instance.pk)}"


def _close_on_commit(owner: str, using: str = DEFAULT_DB_ALIAS) -> None:
    """Close the sockets after the commit; before it, a page that reconnects would get in."""
    if connections[using].in_atomic_block:
        transaction.on_commit(partial(close_sockets, owner), using=using, robust=True)
    else:
        close_sockets(owner)
