"""The runnable project. Importing it makes its Celery app the one that `shared_task` sends to."""

from .celery import app as celery_app

__all__ = ["celery_app"]
