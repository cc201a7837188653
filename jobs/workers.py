"""What can be asked of the broker and of the workers from outside. Celery's own app is reached through `JobTask`."""

from typing import Any

from .tasks import JobTask

ANSWER = 2.0  # seconds in which a worker answers


def job_tasks() -> dict[str, JobTask]:
    """Return the job tasks that have been imported so far, by name."""
    return {name: task for name, task in sorted(_app().tasks.items()) if isinstance(task, JobTask)}


def half_job_tasks() -> list[str]:
    """Return the names of the tasks that have a handler and whose class is no `JobTask`, of those imported so far."""
    tasks = sorted(_app().tasks.items())
    return [name for name, task in tasks if hasattr(task, "handler_class") and not isinstance(task, JobTask)]


def import_tasks() -> None:
    """Import the `tasks` modules of the project, as a worker does at its start."""
    _app().loader.import_default_modules()


def ask_broker() -> str:
    """Open a connection to the broker and return its address, without the password; it may hang: bound it."""
    with _app().connection_for_write() as connection:
        connection.ensure_connection(max_retries=1)
        address: str = connection.as_uri()
        return address


def tasks_of_workers() -> dict[str, set[str]]:
    """Return the names of the tasks that each worker knows; empty when none answers."""
    answers: dict[str, list[str]] = _app().control.inspect(timeout=ANSWER).registered() or {}
    return {worker: {text.split(" ")[0] for text in tasks} for worker, tasks in answers.items()}


def broker_options() -> tuple[str, dict[str, Any]]:
    """Return the broker's transport and its options, without connecting."""
    connection = _app().connection_for_write()
    return str(connection.transport_cls), dict(connection.transport_options)


def is_eager() -> bool:
    """Say whether tasks run where they are sent, in the process of the view."""
    return bool(_app().conf.task_always_eager)


def _app() -> Any:
    return JobTask._get_app()
