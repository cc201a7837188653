"""Notices a second project that uses the same Redis under the same prefix.

Each of the two would find the other's jobs. The first process that starts leaves a marker of its
project in Redis, and every later process compares itself with the marker.

A project must not take itself for another one. So the marker holds what its processes have in
common. They store jobs in the same database, and its name is the same from everywhere: another
name is another project. Two projects may have databases of the same name. Then two of three other
things have to differ: the database's host, because a worker may reach it by another one;
`SECRET_KEY`, because it may be rotated; and the package of the URLs, because staging and
production share it. The databases of a project's tests count as the project's own.
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
from .scripts import client, errors

logger = get_logger(__name__)

KEPT = 30 * 86400  # seconds after the last start; then a project that has moved away is forgotten
OF_TESTS = re.compile(r"^test_(.+?)(?:_gw\d+|_\d+)?$")  # as Django and xdist name databases
ADVICE = "Give one of them another JOBS['PREFIX']. If there is no other, delete the key {key!r}."


def stranger() -> str:
    """Return the package of another project that has left its marker here, or "" if there is none.

    Raises `StoreUnavailable`.
    """
    with errors():
        stored: Any = client().get(_key())
    return _stranger_in(stored)


def advice() -> str:
    """Say what to do about another project."""
    return ADVICE.format(key=_key())


def introduce() -> None:
    """Leave this project's marker, or log that there is another's.

    Does so once in a process. It never raises: while Redis is away it does nothing.
    """
    if not _introduction().is_set():
        with suppress(StoreUnavailable):
            _leave_marker()
            _introduction().set()


@per_process(reset_on="JOBS")
def _introduction() -> threading.Event:
    """Return an event that is set when this process has left the marker."""
    return threading.Event()


def _leave_marker() -> None:
    marker = json.dumps(_ours())
    with errors():
        client().set(_key(), marker, nx=True, ex=KEPT)
        stored: Any = client().get(_key())
        if package := _stranger_in(stored):
            prefix = jobs_settings().PREFIX
            logger.error(
                "another project (%r) uses this Redis under the prefix %r. %s",
                package,
                prefix,
                advice(),
            )
        else:
            client().set(_key(), marker, ex=KEPT)


def _key() -> str:
    return keys.key("project")


def _ours() -> dict[str, str]:
    database = connections[DEFAULT_DB_ALIAS]
    config = database.settings_dict
    return {
        "package": settings.ROOT_URLCONF.partition(".")[0],
        "secret": _secret(settings.SECRET_KEY),
        "host": _digest(f"{config['HOST']}:{config['PORT']}"),
        "name": _digest(_name_of(database)),
    }


def _name_of(database: Any) -> str:
    """Return what the database is called, or "" where that says nothing, as of one in memory."""
    name = str(database.settings_dict["NAME"] or "")
    if database.vendor != "sqlite":
        return OF_TESTS.sub(r"\1", name)
    if database.is_in_memory_db():
        return ""
    folder, file = os.path.split(os.path.abspath(name))
    return os.path.join(folder, OF_TESTS.sub(r"\1", file))


def _stranger_in(stored: str | None) -> str:
    theirs = _read(stored)
    return str(theirs["package"]) if _is_another(theirs) else ""


def _is_another(theirs: dict[str, str]) -> bool:
    ours = _ours()
    if not ours.keys() <= theirs.keys():  # nobody's, or of another version of ours
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
