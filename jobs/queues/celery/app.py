"""The project's Celery app."""

from typing import Any

from celery import current_app


def celery_app() -> Any:
    """Return the project's Celery app, or Celery's default one if the project has none.

    `JobTask._get_app` would bind that abstract class to the app. Then all job tasks that are
    defined later would share its stack of requests, and a task that calls another would give it
    its own job.
    """
    return current_app._get_current_object()
