"""Prometheus metrics of the jobs that this process creates, runs and shows.

Needs the extra `metrics`. A project turns them on with `"jobs.apps.MeasuredJobsConfig"` in
INSTALLED_APPS, or with `connect()`. Signals drive the counters. Jobs that are alive are counted
during each scrape.
"""

import os
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from . import signals
from .exceptions import StoreUnavailable
from .job import Job
from .states import ALIVE
from .store import indexes, statuses
from .store.clock_skew import clock_skew

SCRAPED_JOBS = 2000  # newest jobs that a scrape reads; older ones that are alive are not counted
WORK_BUCKETS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600)  # seconds
PUSH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)  # seconds
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"  # lets prometheus_client add up a machine's processes

CREATED = Counter("jobs_created", "Jobs created", ["handler"])
ENDED = Counter(
    "jobs_ended",
    "Jobs that have ended; a lost one that comes back ends twice",
    ["handler", "state"],
)
WAITED = Histogram(
    "jobs_waiting_seconds", "From creation to the first start", ["handler"], buckets=WORK_BUCKETS
)
RAN = Histogram(
    "jobs_running_seconds",
    "From the last start to the end",
    ["handler", "state"],
    buckets=WORK_BUCKETS,
)
DELIVERED = Histogram(
    "jobs_delivery_seconds",
    "From the write in the store to the server's hub",
    buckets=PUSH_BUCKETS,
)
SOCKETS = Gauge("jobs_open_sockets", "Sockets that are open", multiprocess_mode="livesum")
MISSED = Counter(
    "jobs_reconcile_hits",
    "Changes that reached a page by reconciliation: an end whose push was lost, or another change",
    ["kind"],
)


class AliveJobs(Collector):
    """Counts the jobs that are alive, and checks that the store answers, in three round trips."""

    def __init__(self) -> None:
        self.clock_ahead = 0.0  # seconds that Redis's clock was ahead of ours at the last scrape

    def describe(self) -> list[Metric]:
        """Return nothing, so that the registry does not ask the store only for the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Count them now."""
        alive = GaugeMetricFamily(
            "jobs_alive", f"Jobs by state among the newest {SCRAPED_JOBS}", labels=["state"]
        )
        try:
            tally, is_up = self._count(), 1
        except StoreUnavailable:
            tally, is_up = Tally(), 0
        for state in sorted(ALIVE) if is_up else ():
            alive.add_metric([state], tally[state])
        yield alive
        yield GaugeMetricFamily("jobs_store_up", "Whether the store answers", value=is_up)

    def _count(self) -> Tally[str]:
        found = statuses.statuses(indexes.indexed(indexes.ALL, SCRAPED_JOBS))
        self.clock_ahead = clock_skew().certain
        return Tally(status.state for status in found if status.is_alive and not status.is_overdue)


ALIVE_JOBS = AliveJobs()


def connect() -> None:
    """Count from now on, in this process and its forks. May be called twice."""
    for signal, receiver in RECEIVERS.items():
        signal.connect(receiver, dispatch_uid="jobs.metrics")
    REGISTRY.register(ALIVE_JOBS)


def disconnect() -> None:
    """Stop counting. May be called twice."""
    for signal in RECEIVERS:
        signal.disconnect(dispatch_uid="jobs.metrics")
    with suppress(KeyError):
        REGISTRY.unregister(ALIVE_JOBS)


@require_safe
@login_not_required
def expose(request: HttpRequest) -> HttpResponse:
    """Answer a scrape, in a project without metrics of its own. Keep strangers away from it."""
    registry = REGISTRY
    if MULTIPROCESS in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(ALIVE_JOBS)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _on_created(job: Job, **_: Any) -> None:
    CREATED.labels(job.handler_class).inc()


def _on_started(job: Job, **_: Any) -> None:
    if job.attempt == 1:
        WAITED.labels(job.handler_class).observe(
            (job.record.started_at - job.record.created_at) / 1_000_000
        )


def _on_ended(job: Job, **_: Any) -> None:
    ENDED.labels(job.handler_class, job.state).inc()
    if job.record.started_at:
        seconds = (job.record.ended_at - job.record.started_at) / 1_000_000
        RAN.labels(job.handler_class, job.state).observe(seconds)


def _on_push(version: int, **_: Any) -> None:
    DELIVERED.observe(max(0.0, time.time() + ALIVE_JOBS.clock_ahead - version / 1_000_000))


def _on_missed(job: Job, seen: int, **_: Any) -> None:
    MISSED.labels("end" if job.is_ended and seen < job.record.ended_at else "change").inc()


def _on_opened(**_: Any) -> None:
    SOCKETS.inc()


def _on_closed(**_: Any) -> None:
    SOCKETS.dec()


RECEIVERS: dict[Signal, Callable[..., None]] = {
    signals.job_created: _on_created,
    signals.job_started: _on_started,
    signals.job_ended: _on_ended,
    signals.push_arrived: _on_push,
    signals.push_missed: _on_missed,
    signals.socket_opened: _on_opened,
    signals.socket_closed: _on_closed,
}
