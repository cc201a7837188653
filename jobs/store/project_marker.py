"""Notices a second project that uses the same Redis under the same prefix.

Each of the two would find the other's jobs. The first process that starts leaves a marker of its
project in Redis, and every later process compares its own project with the marker.

A project must not mistake itself for another one. So the marker holds what all processes of a
project share. They store jobs in the same database, whose name is the same from everywhere: a
different name means a different project. Two projects may have databases of the same name. Then
two of three other things have to differ: the database's host, because a worker may reach it by
another name; `SECRET_KEY`, because it may be rotated; and the package of the URLs, because staging
and production share it. The test databases of a project count as the project's own.
"""

import json
import os
import re
import threading
from contextlib import suppress
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.crypto import salted_hmac

from jobs.conf import jobs_settings
from jobs.exceptions import StoreUnavailable
from jobs.logs import get_logger
from jobs.runtime.per_process import per_process

from . import keys
from .client import client, store_errors

logger = get_logger(__name__)

MARKER_TTL = 30 * 86400  # seconds after the last start, so that a project that moved is forgotten
TEST_DATABASE = re.compile(r"^test_(.+?)(?:_gw\d+|_\d+)?$")  # as Django and xdist name them
ADVICE = "Give one of them another JOBS['PREFIX']. If there is no other, delete the key {key!r}."


def other_project() -> str:
    """Return the package of another project that has left its marker here, or "" if there is none.

    Raises `StoreUnavailable`.
    """
    with store_errors():
        stored: Any = client().get(_key())
    return _other_project_in(stored)


def advice() -> str:
    """Return what to do about another project."""
    return ADVICE.format(key=_key())


def leave_marker() -> None:
    """Leave this project's marker, or log that another project's marker is there.

    Does so once in each process. While Redis is unavailable it does nothing; it never raises.
    """
    if not _is_done().is_set():
        with suppress(StoreUnavailable):
            _compare_and_leave()
            _is_done().set()


@per_process(reset_on="JOBS")
def _is_done() -> threading.Event:
    return threading.Event()


def _compare_and_leave() -> None:
    marker = json.dumps(our_marker())
    with store_errors():
        client().set(_key(), marker, nx=True, ex=MARKER_TTL)
        stored: Any = client().get(_key())
        if package := _other_project_in(stored):
            prefix = jobs_settings().PREFIX
            logger.error(
                "another project (%r) uses this Redis under the prefix %r. %s",
                package,
                prefix,
                advice(),
            )
        else:
            client().set(_key(), marker, ex=MARKER_TTL)


def _key() -> str:
    return keys.key("project")


def our_marker() -> dict[str, str]:
    """Return what all processes of this project share, without giving away a secret."""
    database = connections[DEFAULT_DB_ALIAS]
    config = database.settings_dict
    return {
        "package": settings.ROOT_URLCONF.partition(".")[0],
        "secret": _secret(settings.SECRET_KEY),
        "host": _digest(f"{config['HOST']}:{config['PORT']}"),
        "name": _digest(database_name(database)),
    }


def database_name(database: Any) -> str:
    """Return the name of the database, or "" for one in memory, whose name says nothing."""
    name = str(database.settings_dict["NAME"] or "")
    if database.vendor != "sqlite":
        return TEST_DATABASE.sub(r"\1", name)
    if database.is_in_memory_db():
        return ""
    folder, file = os.path.split(os.path.abspath(name))
    return os.path.join(folder, TEST_DATABASE.sub(r"\1", file))


def _other_project_in(stored: str | None) -> str:
    theirs = _read(stored)
    return str(theirs["package"]) if _is_another(theirs) else ""


def _is_another(theirs: dict[str, str]) -> bool:
    ours = our_marker()
    if not ours.keys() <= theirs.keys():  # no marker, or one of another version of this package
        return False
    same_secret = theirs["secret"] in map(
        _secret, [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    )
    differ = [
        not same_secret,
        theirs["host"] != ours["host"],
        theirs["package"] != ours["package"],
    ]
    another_name = bool(theirs["name"] and ours["name"]) and theirs["name"] != ours["name"]
    return another_name or sum(differ) >= 2


def _read(stored: str | None) -> dict[str, str]:
    try:
        marker = json.loads(stored or "{}")
    except ValueError:
        return {}
    return marker if isinstance(marker, dict) else {}


def _secret(key: str | bytes) -> str:
    return salted_hmac("jobs.neighbours", "", secret=key, algorithm="sha256").hexdigest()[:16]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16] if text else ""
