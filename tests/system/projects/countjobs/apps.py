"""The app of jobs that can be counted; it makes the database slow when the settings ask for it."""

import time

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created


class CountJobsConfig(AppConfig):
    """Found by Django, being the only one of its package."""

    name = "tests.system.projects.countjobs"
    label = "countjobs"

    def ready(self) -> None:
        """Have every query of a slow database wait."""
        if settings.SLOW_DATABASE:
            connection_created.connect(_slow_down, dispatch_uid="countjobs", weak=False)


def _slow_down(connection, **_):
    connection.execute_wrappers.append(_execute_slowly)


def _execute_slowly(execute, *args):
    time.sleep(settings.SLOW_DATABASE)
    return execute(*args)
