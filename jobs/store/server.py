"""Asks about the Redis server itself, for health checks, metrics and `jobs_doctor`.

Everything here raises `StoreUnavailable`.
"""

import secrets
from typing import Any, NamedTuple

from jobs.conf import jobs_settings
from jobs.core.record import Record
from jobs.core.transitions import Change
from jobs.exceptions import StoreUnavailable

from . import records
from .address import address
from .client import client, store_errors
from .keys import job_key
from .push import Push


class Standby(NamedTuple):
    """The state of the sentinels' service at this moment."""

    service: str
    place: str
    replicas: int  # that could take its place


def ping() -> None:
    """Raise `StoreUnavailable` unless Redis answers."""
    with store_errors():
        client().ping()


def clock() -> int:
    """Return the time of Redis in microseconds."""
    with store_errors():
        seconds, microseconds = client().time()
    return int(seconds) * 1_000_000 + int(microseconds)


def check_write(push: Push | None = None) -> tuple[int, str]:
    """Write a record by the script, with a push, and delete it.

    Returns Redis's clock in microseconds and its eviction policy. The policy is "" if Redis has
    no memory limit.
    """
    new = Record(f"doctor-{secrets.token_hex(8)}")
    outcome = records.write(None, new, Change(), push)
    if not outcome.written or outcome.record is None:
        raise StoreUnavailable("Redis at JOBS['REDIS_URL'] did not store what was written to it.")
    with store_errors():
        client().delete(job_key(new.id))
        memory: Any = client().info("memory")
    policy = memory.get("maxmemory_policy", "") if memory.get("maxmemory") else ""
    return outcome.record.version, policy


def standby() -> Standby | None:
    """Return which server the sentinels name as the master; None without sentinels."""
    if not address().service:
        return None
    with store_errors():
        pool: Any = client().connection_pool
        replication: Any = client().info("replication")
        return Standby(
            address().service,
            "{}:{}".format(*pool.get_master_address()),
            replication["connected_slaves"],
        )


def is_in_cluster() -> bool:
    """Return whether Redis is a node of a Redis Cluster."""
    with store_errors():
        cluster: Any = client().info("cluster")
    return bool(cluster.get("cluster_enabled"))


def identity() -> str:
    """Name the place where jobs are kept, so that two processes can compare theirs.

    Returns "" if Redis does not tell its run id. The run id changes with each restart.
    """
    with store_errors():
        about: Any = client().info("server")
    run_id = about.get("run_id")
    return f"{run_id}/{address().database}/{jobs_settings().PREFIX}" if run_id else ""
