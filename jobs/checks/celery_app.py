"""System checks of the project's Celery app."""

from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as Hazard

from jobs.queues.celery import inspection
from jobs.queues.celery.app import celery_app

PICKLE = {"pickle", "application/x-python-serialize"}  # Celery's name for it, and its content type


def check_celery(**_: Any) -> list[CheckMessage]:
    """Warn if the project has no Celery app of its own, or if the app accepts pickle."""
    app = celery_app()
    if app.main == "default":
        hint = "Write `from .celery import app as celery_app` in your project's __init__.py."
        text = "No Celery app: tasks would be sent to a default broker."
        return [Hazard(text, hint=hint, id="jobs.W004")]
    if PICKLE & {app.conf.task_serializer, *app.conf.accept_content}:
        hint = (
            "Use JSON. With pickle, anybody who can write to the broker can run code "
            "in your workers."
        )
        return [Hazard("Celery accepts pickled messages.", hint=hint, id="jobs.W003")]
    return []


def check_eager(**_: Any) -> list[CheckMessage]:
    """Warn if Celery runs each task in the request that starts it."""
    if not inspection.is_eager():
        return []
    text = "CELERY_TASK_ALWAYS_EAGER is on: each job runs inside the request that starts it."
    hint = (
        "The view answers only when the job has ended, so nobody sees a waiting page. "
        "Turn it off and start a worker; in tests use jobs.testing.run_immediately()."
    )
    return [Hazard(text, hint=hint, id="jobs.W012")]
