"""The names under which a project's jobs are kept and heard, told apart from those of another one on the same Redis.

`JOBS["PREFIX"]` begins each of them. A key lives in one database of Redis; a PUBLISH is heard in all of them, so a
group also names the database, unless that is 0.
"""

import re

from .conf import jobs_settings
from .connection import address

ALLOWED_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,50}")  # Channels allows a group's name no more; the dot is ours


def key(name: str) -> str:
    """Name one of our keys in Redis."""
    return f"{jobs_settings().PREFIX}:{name}"


def group(name: str) -> str:
    """Name one of our groups of the channel layer."""
    database = address().database
    return f"{jobs_settings().PREFIX}.{database}.{name}" if database else f"{jobs_settings().PREFIX}.{name}"
