"""The names of this project's keys in Redis.

`JOBS["PREFIX"]` begins each name, so that two projects can share a Redis.
"""

import re

from jobs.conf import jobs_settings

ALLOWED_PREFIX = re.compile(
    r"[A-Za-z0-9_-]{1,50}"
)  # what Channels allows in a group's name, without the dot


def key(name: str) -> str:
    """Name one of our keys in Redis."""
    return f"{jobs_settings().PREFIX}:{name}"
