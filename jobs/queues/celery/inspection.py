"""What can be asked of the broker and of the workers from outside. Celery's own app is reached through `JobTask`."""

from typing import Any, NamedTuple

from celery.exceptions import QueueNotFound
from kombu.utils.url import sanitize_url

from jobs.tasks import JobTask

from .app import celery_app

ANSWER = 2.0  # seconds in which a worker answers
STORE = "jobs_store"  # the command of `jobs.remote`, which only workers load


class Worker(NamedTuple):
    """What a worker says about itself."""

    tasks: frozenset[str]  # that it can run
    queues: frozenset[str]  # that it takes messages from
    store: str = (
        ""  # the Redis in which it keeps jobs, as `link.server` names it; "" if it does not say
    )


def job_tasks() -> dict[str, JobTask]:
    """Return the job tasks that have been imported so far, by name."""
    return {
        name: task
        for name, task in sorted(celery_app().tasks.items())
        if isinstance(task, JobTask)
    }


def half_job_tasks() -> list[str]:
    """Return the names of the tasks that have a handler and whose class is no `JobTask`, of those imported so far."""
    tasks = sorted(celery_app().tasks.items())
    return [
        name
        for name, task in tasks
        if hasattr(task, "handler_class") and not isinstance(task, JobTask)
    ]


def import_tasks() -> None:
    """Import the `tasks` modules of the project, as a worker does at its start."""
    celery_app().loader.import_default_modules()


def ask_broker() -> str:
    """Connect to the broker and return its address without the password; it may hang: bound it.

    Raises `ClusterFound` for a node of a Redis Cluster, and what Celery raises for a broker that is away.
    """
    with _connection() as connection:
        connection.ensure_connection(max_retries=1)
        if connection.transport.driver_type == "redis" and _is_in_cluster(connection):
            raise ClusterFound
        return _address(connection)


class ClusterFound(Exception):
    """The broker is a node of a Redis Cluster, which Celery cannot use."""


def ask_workers() -> dict[str, Worker]:
    """Ask all workers about themselves; empty if none answers. It may hang: bound it."""
    with _connection() as connection:
        known: dict[str, list[str]] = _inspect(connection).registered() or {}
        if not known:
            return {}
        those = {"destination": list(known), "limit": len(known)}
        served = _inspect(connection, **those).active_queues() or {}
        stores = celery_app().control.broadcast(
            STORE, connection=connection, reply=True, timeout=ANSWER, **those
        )
    stored = {
        name: answer
        for answers in stores or ()
        for name, answer in answers.items()
        if isinstance(answer, str)
    }
    return {
        name: Worker(
            frozenset(text.split(" ")[0] for text in tasks),
            frozenset(queue["name"] for queue in served.get(name, ())),
            stored.get(name, ""),
        )
        for name, tasks in known.items()
    }


def queue_of(task: JobTask) -> str:
    """Return the queue that the task is sent to; "" if its arguments or an exchange decide.

    Raises `KeyError` for a queue that is not in `task_queues`, if Celery must not create it.
    """
    names = ("queue", "exchange", "routing_key")
    given = {name: value for name in names if (value := getattr(task, name, None))}
    try:
        route = celery_app().amqp.router.route(given, task.name, (), {}, task)
    except QueueNotFound:
        raise
    except Exception:
        return ""  # a router of the project's own that wants to see the arguments
    queue = route.get("queue")
    by_exchange = {
        name for name in names[1:] if route.get(name) not in (None, "", getattr(queue, name, None))
    }
    return "" if queue is None or by_exchange else str(getattr(queue, "name", queue))


def broker_options() -> tuple[str, dict[str, Any]]:
    """Return the broker's transport and options without connecting.

    Raises `ValueError` for a malformed URL.
    """
    connection = _connection()
    return str(connection.transport_cls), dict(connection.transport_options)


def is_eager() -> bool:
    """Say whether tasks run where they are sent, in the process of the view."""
    return bool(celery_app().conf.task_always_eager)


def _connection() -> Any:
    """Return a connection that is not open yet.

    Raises `ValueError` without a part of the URL, which Celery's own error repeats.
    """
    try:
        return celery_app().connection_for_write()
    except (TypeError, ValueError):
        text = "CELERY_BROKER_URL is malformed; in a password, percent-encode what is neither letter nor digit"
        raise ValueError(text) from None


def _address(connection: Any) -> str:
    """Return the broker's URL with a mask where a password is; kombu also masks where none is."""
    if connection.transport.can_parse_url or connection.uri_prefix:
        return str(connection.as_uri())
    return str(sanitize_url(connection.as_uri(include_password=True)))


def _is_in_cluster(connection: Any) -> bool:
    try:
        return bool(connection.default_channel.client.info("cluster").get("cluster_enabled"))
    except Exception:
        return False  # a Redis that does not say


def _inspect(connection: Any, **options: Any) -> Any:
    return celery_app().control.inspect(connection=connection, timeout=ANSWER, **options)
