"""Step: the Redis that holds the jobs takes writes and does not lose what it holds."""

import time

from jobs.conf import jobs_settings
from jobs.exceptions import StoreUnavailable
from jobs.store import client, project_marker, server
from jobs.store.clock_skew import skew_of

from .step import StepFailed

MAX_CLOCK_DIFFERENCE = 5.0  # seconds; with more, jobs still run, but logs and metrics disagree


def try_store() -> str:
    """Write to Redis, and measure how long it took and how far its clock is from ours."""
    try:
        return _examine_store()
    except StoreUnavailable as error:
        raise StepFailed(str(error), "Start Redis, or correct JOBS['REDIS_URL'].") from error


def _examine_store() -> str:
    if server.is_in_cluster():
        raise StepFailed(client.NO_CLUSTER, "See docs/operate.md.")
    before = time.time()
    redis_clock, eviction_policy = server.check_write()
    skew = skew_of(redis_clock, before)
    _require_own_prefix()
    _require_no_eviction(eviction_policy)
    _require_same_time(skew.seconds)
    found = (
        f"took a write in {skew.took * 1000:.0f} ms, "
        f"its clock is within {abs(skew.seconds) + skew.took / 2:.3f} s of ours"
    )
    return "; ".join(filter(None, (found, _find_standby())))


def _require_own_prefix() -> None:
    if neighbour := project_marker.other_project():
        prefix = jobs_settings().PREFIX
        text = f"Another project ({neighbour!r}) uses this Redis under the prefix {prefix!r}."
        raise StepFailed(text, project_marker.advice())


def _require_no_eviction(policy: str) -> None:
    if policy not in ("", "noeviction"):
        text = f"Redis evicts keys when its memory is full ({policy})."
        raise StepFailed(text, "Set maxmemory-policy noeviction.")


def _require_same_time(ahead: float) -> None:
    if abs(ahead) > MAX_CLOCK_DIFFERENCE:
        text = f"The clock of Redis is {ahead:+.0f} s from this machine's."
        raise StepFailed(text, "Let both machines follow a time server.")


def _find_standby() -> str:
    """Name the master that the sentinels chose, and its replicas; "" without sentinels."""
    standby = server.standby()
    if standby is None:
        return ""
    if not standby.replicas:
        text = f"{standby.service}, at present {standby.place}, has no replica to take its place."
        raise StepFailed(text, "Attach a replica, and wait until the sentinels know it.")
    return (
        f"{standby.service} is at {standby.place} now and has {standby.replicas} to take its place"
    )
