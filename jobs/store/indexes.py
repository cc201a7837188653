"""The lists of jobs by owner, by tag, and of all: what they hold is a hint, the jobs themselves are the truth.

So a list may name a job that is gone, or that is another's; whoever reads it looks at the jobs.
"""

import math
from collections.abc import Sequence
from typing import Any

from jobs.conf import jobs_settings
from jobs.core.record import Record
from jobs.core.topics import topics_of

from . import keys
from .scripts import Call, client, errors, run_all

INDEX_SIZE = 1000  # newest jobs kept in the index of one owner or tag

ALL = (
    "all"  # the index of all jobs, whoever's they are; it is no topic, so nobody can listen to it
)
ALL_SIZE = 100_000  # newest jobs kept in it (some 13 MB of Redis' memory); `sweep_jobs` takes out what has ended
ALL_TTL = 30 * 86400  # seconds; longer than any job runs


def index_key(topic: str) -> str:
    """Name the sorted set of the jobs of a topic."""
    return keys.key(f"index:{topic}")


def entries(record: Record, waits: float = 0) -> list[Call]:
    """Return the calls that enter a job in the lists of its owner, of its tags and of all; safe to repeat.

    The lists are kept for `TTL` after the seconds that the job may have to wait for its deadline.
    """
    ttl = jobs_settings().TTL + math.ceil(waits)
    topics = topics_of(record.id, record.owner, record.tags)[1:]
    lists = [(ALL, ALL_SIZE, max(ALL_TTL, ttl)), *((topic, INDEX_SIZE, ttl) for topic in topics)]
    return [
        Call("list", index_key(topic), [record.id, size, seconds])
        for topic, size, seconds in lists
    ]


def add_to_indexes(record: Record) -> None:
    """Enter a job in its lists, in one round trip; safe to repeat."""
    with errors():
        waits = max(0, record.deadline - record.version) / 1_000_000
        for answer in run_all(entries(record, waits)):
            if isinstance(answer, Exception):
                raise answer


def indexed(topic: str, limit: int) -> list[str]:
    """Return the ids of the newest jobs of an owner's or a tag's topic."""
    with errors():
        ids: Any = client().zrevrange(index_key(topic), 0, limit - 1)
    return list(ids)


def all_ids(start: int, limit: int) -> list[str]:
    """Return the ids of all jobs that are listed, the oldest first, from a place in the list on."""
    with errors():
        ids: Any = client().zrange(index_key(ALL), start, start + limit - 1)
    return list(ids)


def forget(job_ids: Sequence[str]) -> None:
    """Take jobs off the list of all; they stay where they are."""
    if job_ids:
        with errors():
            client().zrem(index_key(ALL), *job_ids)
