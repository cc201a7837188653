"""The names of this project's keys in Redis, and of its groups in the channel layer.

`JOBS["PREFIX"]` begins each name, so that two projects can share a Redis. A key belongs to one
database of Redis, but a PUBLISH is heard in all databases. So a group also names the database,
unless that is 0.
"""

import re

from .conf import jobs_settings
from .connection import address

ALLOWED_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,50}")  # what Channels allows in a group's name, without the dot


def key(name: str) -> str:
    """Name one of our keys in Redis."""
    return f"{jobs_settings().PREFIX}:{name}"


def group(name: str) -> str:
    """Name one of our groups of the channel layer."""
    database = address().database
    return f"{jobs_settings().PREFIX}.{database}.{name}" if database else f"{jobs_settings().PREFIX}.{name}"
