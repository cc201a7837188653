"""The indexes of jobs: by owner, by tag, and one of all jobs.

An index is a hint, and the records are the truth. An index may name a job that is gone, or one
whose owner has changed, so its reader checks the record of each job.
"""

import math
from collections.abc import Sequence
from typing import Any

from jobs.conf import jobs_settings
from jobs.core.record import Record
from jobs.core.topics import topics_of

from .client import client, store_errors
from .keys import index_key
from .scripts import Call, run_all

INDEX_SIZE = 1000  # newest jobs kept in the index of one owner or tag

ALL = "all"  # the index of all jobs, of every owner; it is no topic, so nobody can subscribe to it
ALL_SIZE = 100_000  # newest jobs kept in it, about 13 MB; `sweep_jobs` removes the ended ones
ALL_TTL = 30 * 86400  # seconds; longer than any job runs


def index_calls(record: Record, delay: float = 0) -> list[Call]:
    """Return the script calls that add a job to its indexes; safe to repeat.

    An index lives for `TTL` after `delay`: the seconds that the job may wait for its deadline.
    """
    ttl = jobs_settings().TTL + math.ceil(delay)
    topics = topics_of(record.id, record.owner, record.tags)[1:]  # without the job's own topic
    indexes = [(ALL, ALL_SIZE, max(ALL_TTL, ttl))]
    indexes += [(topic, INDEX_SIZE, ttl) for topic in topics]
    return [
        Call("list", index_key(name), [record.id, size, seconds])
        for name, size, seconds in indexes
    ]


def add_to_indexes(record: Record) -> None:
    """Add a job to its indexes in one round trip; safe to repeat. Raises `StoreUnavailable`."""
    delay = max(0, record.deadline - record.version) / 1_000_000
    with store_errors():
        for answer in run_all(index_calls(record, delay)):
            if isinstance(answer, Exception):
                raise answer


def indexed(topic: str, limit: int) -> list[str]:
    """Return the ids of the newest jobs of an owner's or a tag's topic."""
    with store_errors():
        ids: Any = client().zrevrange(index_key(topic), 0, limit - 1)
    return list(ids)


def all_ids(start: int, limit: int) -> list[str]:
    """Return ids from the index of all jobs, the oldest first, beginning at position `start`."""
    with store_errors():
        ids: Any = client().zrange(index_key(ALL), start, start + limit - 1)
    return list(ids)


def remove_from_all(job_ids: Sequence[str]) -> None:
    """Remove jobs from the index of all jobs; their records stay."""
    if job_ids:
        with store_errors():
            client().zrem(index_key(ALL), *job_ids)
