"""The project of docs/grown/: the example, with the settings that these files print."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
