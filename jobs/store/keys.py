"""The names of this project's keys in Redis.

Each name begins with `JOBS["PREFIX"]`, so that two projects can share a Redis.
"""

import re

from jobs.conf import jobs_settings

# What Channels allows in the name of a group, without the dot.
ALLOWED_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,50}")


def key(name: str) -> str:
    """Return the full name of a key."""
    return f"{jobs_settings().PREFIX}:{name}"


def job_key(job_id: str) -> str:
    """Return the key of a job's hash; the braces keep a job's keys in one slot of a cluster."""
    return key(f"{{{job_id}}}")


def unique_key(unique: str) -> str:
    """Return the key that holds the id of the job with this unique key, given as its digest."""
    return key(f"unique:{unique}")


def index_key(name: str) -> str:
    """Return the key of an index: a sorted set of job ids, for a topic or for all jobs."""
    return key(f"index:{name}")
