"""Asks the broker and the workers about themselves, for the checks and `jobs_doctor`."""

from typing import Any, NamedTuple

from celery.exceptions import QueueNotFound
from kombu.utils.url import sanitize_url

from .app import celery_app
from .task import JobTask

ANSWER_TIMEOUT = 2.0  # seconds that a worker has to answer
STORE = "jobs_store"  # the command of `remote_command`, which only workers load


class Worker(NamedTuple):
    """What a worker says about itself."""

    tasks: frozenset[str]  # that it can run
    queues: frozenset[str]  # that it takes messages from
    store: str = ""  # the Redis that holds its jobs, as `server.identity` names it; "" if unknown


def job_tasks() -> dict[str, JobTask]:
    """Return the job tasks that have been imported so far, by name."""
    return {
        name: task
        for name, task in sorted(celery_app().tasks.items())
        if isinstance(task, JobTask)
    }


def half_job_tasks() -> list[str]:
    """Return the names of imported tasks that have a handler, but whose class is no `JobTask`."""
    return [
        name
        for name, task in sorted(celery_app().tasks.items())
        if hasattr(task, "handler_class") and not isinstance(task, JobTask)
    ]


def import_tasks() -> None:
    """Import the `tasks` modules of the project, as a worker does at its start."""
    celery_app().loader.import_default_modules()


def ask_broker() -> str:
    """Connect to the broker and return its address without the password.

    This may hang, so the caller sets a timeout. Raises `ClusterFound` for a node of a Redis
    Cluster, and what Celery raises if the broker is down.
    """
    with _connection() as connection:
        connection.ensure_connection(max_retries=1)
        if connection.transport.driver_type == "redis" and _is_in_cluster(connection):
            raise ClusterFound
        return _address(connection)


class ClusterFound(Exception):
    """The broker is a node of a Redis Cluster, which Celery cannot use."""


def ask_workers() -> dict[str, Worker]:
    """Ask all workers about themselves; empty if none answers.

    This may hang, so the caller sets a timeout.
    """
    with _connection() as connection:
        known: dict[str, list[str]] = _inspect(connection).registered() or {}
        if not known:
            return {}
        those = {"destination": list(known), "limit": len(known)}
        served = _inspect(connection, **those).active_queues() or {}
        stores = celery_app().control.broadcast(
            STORE, connection=connection, reply=True, timeout=ANSWER_TIMEOUT, **those
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

    Raises `KeyError` for a queue that is not in `task_queues`, if Celery must not create queues.
    """
    names = ("queue", "exchange", "routing_key")
    given = {name: value for name in names if (value := getattr(task, name, None))}
    try:
        route = celery_app().amqp.router.route(given, task.name, (), {}, task)
    except QueueNotFound:
        raise
    except Exception:
        return ""  # the project's own router needs the arguments
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
    """Return whether tasks run where they are sent, in the view's process."""
    return bool(celery_app().conf.task_always_eager)


def _connection() -> Any:
    """Return a connection that is not open yet.

    Raises `ValueError` for a malformed URL. Celery's own error would repeat the password.
    """
    try:
        return celery_app().connection_for_write()
    except (TypeError, ValueError):
        raise ValueError(
            "CELERY_BROKER_URL is malformed; in a password, percent-encode what is neither letter "
            "nor digit"
        ) from None


def _address(connection: Any) -> str:
    """Return the broker's URL with its password masked; kombu would also mask a missing one."""
    if connection.transport.can_parse_url or connection.uri_prefix:
        return str(connection.as_uri())
    return str(sanitize_url(connection.as_uri(include_password=True)))


def _is_in_cluster(connection: Any) -> bool:
    try:
        return bool(connection.default_channel.client.info("cluster").get("cluster_enabled"))
    except Exception:
        return False  # a Redis that does not say


def _inspect(connection: Any, **options: Any) -> Any:
    return celery_app().control.inspect(connection=connection, timeout=ANSWER_TIMEOUT, **options)
