"""The project that the files of docs/grown/ speak of: the example, with the settings that they print."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
