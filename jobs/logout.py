"""Whoever logs out, is deactivated or changes the password stops listening, on every server process."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_save

from . import publisher
from .access import visitor_owner
from .events import LOGOUT
from .repository import owner_name

HARMLESS = frozenset({"last_login"})  # what Django itself saves at each login


def close_sockets(owner: str) -> None:
    """Close all sockets of an owner; a page that may still listen comes back by itself."""
    publisher.broadcast({"type": LOGOUT, "owner": owner})


def connect() -> None:
    """Listen to Django's signals; may be called twice."""
    user_logged_out.connect(_on_logout, dispatch_uid="jobs.logout")
    post_save.connect(_on_user_saved, sender=get_user_model(), dispatch_uid="jobs.logout")


def _on_logout(sender: Any, request: Any, user: Any, **_: Any) -> None:
    for owner in (owner_name(user), visitor_owner(getattr(request, "session", None))):
        if owner:
            close_sockets(owner)


def _on_user_saved(sender: Any, instance: Any, created: bool, update_fields: Any, **_: Any) -> None:
    if not created and (update_fields is None or not HARMLESS.issuperset(update_fields)):
        close_sockets(owner_name(instance))
