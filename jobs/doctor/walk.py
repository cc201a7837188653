"""Walks the whole way of a job on the running system, from the settings to an open socket, and says what is wrong.

Each step is a function that returns what it found, or raises `Wrong` with what to do. None waits longer than some
seconds, and none leaves anything behind.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from django.conf import ENVIRONMENT_VARIABLE
from django.core.checks import run_checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor

from jobs.conf import has_sockets, jobs_settings
from jobs.core import topics
from jobs.exceptions import StoreUnavailable
from jobs.models import JobRecord
from jobs.push.hub import Hub
from jobs.queues.celery import inspection
from jobs.store import neighbours, server
from jobs.store.client import NO_CLUSTER
from jobs.store.server import Standby

from . import public_address
from .step import PATIENCE, Wrong, push, within

CLOCKS_APART = 5.0  # seconds; nothing breaks, but logs and metrics do not fit together


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step has found."""

    step: str
    text: str
    is_ok: bool = True


def examine(url: str = "") -> Iterator[Finding]:
    """Take all steps in order; one that is wrong does not keep the next ones from being taken."""
    for name, step in (STEPS | _last_steps(url)).items():
        try:
            yield Finding(name, step())
        except Wrong as wrong:
            yield Finding(name, str(wrong), is_ok=False)
        except Exception as error:
            yield Finding(name, f"{type(error).__name__}: {error}", is_ok=False)


def _last_steps(url: str) -> dict[str, Callable[[], str]]:
    if not url:
        return {"route": public_address.find_route, "static": public_address.find_static}
    steps = {
        "socket": public_address.try_socket,
        "origin": public_address.try_origin,
        "static": public_address.fetch_static,
    }
    return {name: partial(step, url) for name, step in steps.items()}


def _settings() -> str:
    inspection.import_tasks()
    found = [
        message
        for message in run_checks()
        if str(message.id).startswith("jobs.") and not message.is_silenced()
    ]
    texts = [f"{message.id}: {message.msg} {message.hint or ''}".strip() for message in found]
    if any(message.is_serious() for message in found):
        raise Wrong(" ".join(texts), "See `manage.py check`.")
    return f"{os.environ.get(ENVIRONMENT_VARIABLE, 'in code')}: {'; '.join(texts) or 'no system check complains'}"


def _store() -> str:
    before = time.time()
    try:
        if server.is_in_cluster():
            raise Wrong(NO_CLUSTER, "See docs/operate.md.")
        clock, policy = server.check_write()
        took = time.time() - before
        standby = server.standby()
        neighbour = neighbours.other_project()
    except StoreUnavailable as error:
        raise Wrong(str(error), "Start Redis, or correct JOBS['REDIS_URL'].") from error
    if neighbour:
        text = f"Another project ({neighbour!r}) uses this Redis under the prefix {jobs_settings().PREFIX!r}."
        raise Wrong(text, neighbours.advice())
    if policy not in ("", "noeviction"):
        raise Wrong(
            f"Redis evicts keys when its memory is full ({policy}).",
            "Set maxmemory-policy noeviction.",
        )
    apart = clock / 1_000_000 - before - took / 2
    if abs(apart) > CLOCKS_APART:
        raise Wrong(
            f"Its clock is {apart:+.0f} s from this machine's.", "Let both follow a time server."
        )
    found = f"took a write in {took * 1000:.0f} ms, its clock is within {abs(apart) + took / 2:.3f} s of ours"
    return found if standby is None else f"{found}; {_whom_it_is(standby)}"


def _whom_it_is(standby: Standby) -> str:
    if not standby.replicas:
        advice = "Attach one to it, and wait until the sentinels know of it."
        raise Wrong(
            f"{standby.service}, at present {standby.place}, has no replica to take its place.",
            advice,
        )
    return (
        f"{standby.service} is at {standby.place} now and has {standby.replicas} to take its place"
    )


def _archive() -> str:
    if not jobs_settings().ARCHIVE:
        return "off (JOBS['ARCHIVE']): on_ready is guarded by Redis alone"
    try:
        missing = within(PATIENCE, _missing_migrations)
    except (DatabaseError, TimeoutError) as error:
        text = f"The database does not answer: {error or 'it hangs'}."
        raise Wrong(text, "Start it, or run `manage.py migrate`.") from error
    if missing:
        raise Wrong(
            f"Not migrated: {', '.join(missing)}.", f"Run `manage.py migrate{_database_option()}`."
        )
    return "the database answers, and has all migrations"


def _missing_migrations() -> list[str]:
    """Read from the archive, and return the migrations of the app that it has not had."""
    try:
        executor = MigrationExecutor(connections[router.db_for_write(JobRecord)])
        targets = executor.loader.graph.leaf_nodes(JobRecord._meta.app_label)
        plan = executor.migration_plan(targets)
        if not plan:
            JobRecord.objects.exists()
        return [str(migration) for migration, _is_backwards in plan]
    finally:
        connections.close_all()


def _database_option() -> str:
    alias = router.db_for_write(JobRecord)
    return "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"


def _broker() -> str:
    try:
        return f"reached {within(PATIENCE, inspection.ask_broker)}"
    except TimeoutError as error:
        raise Wrong(
            f"No connection within {PATIENCE:g} s.",
            "It hangs, or a firewall swallows the packets.",
        ) from error
    except inspection.ClusterFound as error:
        advice = "Give Celery a single Redis, one with sentinels, or RabbitMQ."
        raise Wrong(
            "It is a node of a Redis Cluster, which Celery does not support.", advice
        ) from error
    except Exception as error:
        raise Wrong(
            f"No connection: {error}.", "Start the broker, or correct CELERY_BROKER_URL."
        ) from error


def _tasks() -> str:
    tasks = inspection.job_tasks()
    if not tasks:
        raise Wrong(
            "No task is a job.", "Decorate one with @job_task in the tasks.py of an installed app."
        )
    return f"{len(tasks)} job tasks: {', '.join(tasks)}"


def _worker() -> str:
    advice = "Start one: celery -A <project> worker. One that is busy in a pool of its own process cannot answer."
    try:
        known = within(PATIENCE + inspection.ANSWER, inspection.ask_workers)
    except Exception as error:
        raise Wrong(
            f"Nobody could be asked: {error or type(error).__name__}.", "See the broker."
        ) from error
    if not known:
        raise Wrong(f"No worker answered within {inspection.ANSWER:g} s.", advice)
    if strange := set(inspection.job_tasks()) - set().union(
        *(worker.tasks for worker in known.values())
    ):
        raise Wrong(
            f"No worker knows {', '.join(sorted(strange))}.",
            "Restart the workers with the present code.",
        )
    _see_to_store(known)
    for queue, names in _tasks_by_queue().items():
        _see_to_queue(queue, names, known)
    return f"{', '.join(sorted(known))} answered"


def _see_to_store(known: dict[str, inspection.Worker]) -> None:
    """See that the workers keep jobs where this process does: else they find no job, and its page waits in vain."""
    try:
        ours = server.identity()
    except StoreUnavailable:
        return  # the step before has said so
    if others := [name for name, worker in known.items() if worker.store not in ("", ours)]:
        text = f"{', '.join(sorted(others))} keeps jobs in another Redis, or under another prefix, than this process."
        raise Wrong(text, "Give all processes the same JOBS: settings module and environment.")


def _tasks_by_queue() -> dict[str, list[str]]:
    queues: dict[str, list[str]] = {}
    for name, task in inspection.job_tasks().items():
        try:
            queue = inspection.queue_of(task)
        except KeyError as error:
            advice = "Add the queue to CELERY_TASK_QUEUES, or correct the route."
            raise Wrong(f"{name} cannot be sent: {error.args[0]}.", advice) from error
        if queue:
            queues.setdefault(queue, []).append(name)
    return queues


def _see_to_queue(queue: str, names: list[str], known: dict[str, inspection.Worker]) -> None:
    """See that a worker serves the queue, and that none of another project drops its messages."""
    serving = {name: worker for name, worker in known.items() if queue in worker.queues}
    if not serving:
        all_queues = ",".join(sorted({queue}.union(*(worker.queues for worker in known.values()))))
        raise Wrong(
            f"No worker takes from the queue {queue!r}, to which {', '.join(names)} is sent.",
            f"Start a worker with -Q {queue}, or add it to the queues of one that runs: -Q {all_queues}.",
        )
    for name, worker in serving.items():
        if strange := [task for task in names if task not in worker.tasks]:
            raise Wrong(
                f"{name} takes from the queue {queue!r} and does not know {', '.join(strange)}: it drops such jobs.",
                "Restart it with the present code, or give another project's worker other queues (-Q).",
            )


def _layer() -> str:
    if not has_sockets():
        return public_address.NO_SOCKETS
    if not within(PATIENCE, lambda: asyncio.run(_hear_myself())):
        raise Wrong(
            "What was sent over the channel layer was not heard.",
            "Look at CHANNEL_LAYERS; every process has to have the same prefix and JOBS['SHARDS'].",
        )
    return "a worker's push is heard by a hub"


STEPS: dict[str, Callable[[], str]] = {
    "settings": _settings,
    "store": _store,
    "archive": _archive,
    "broker": _broker,
    "tasks": _tasks,
    "worker": _worker,
    "layer": _layer,
}


class _Ear:
    """A watcher that hears one frame."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def deliver(self, job_id: str, version: int, frame: str) -> None:
        self.heard.set()

    async def look_again(self) -> None:
        """There is nothing to read."""

    async def on_logout(self, owner: str) -> None:
        """Nobody has logged in."""


async def _hear_myself() -> bool:
    hub, ear, topic = Hub(), _Ear(), topics.tag_topic(f"jobs-doctor:{secrets.token_hex(8)}")
    await hub.watch(topic, ear)
    try:
        await asyncio.to_thread(push, topic)
        await asyncio.wait_for(ear.heard.wait(), PATIENCE / 2)
    except TimeoutError:
        return False
    else:
        return True
    finally:
        await hub.unwatch(topic, ear)
