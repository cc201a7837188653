"""A project that keeps the jobs in a database of their own."""

from .settings import *  # noqa: F403
from .settings import DATABASES

default = DATABASES["default"]
DATABASES = {"default": default, "archive": {**default, "NAME": f"{default['NAME']}.archive"}}
DATABASE_ROUTERS = ["tests.system.projects.sites.second_database.Router"]


class Router:
    """Sends the jobs to the archive, and everything else to the default."""

    def db_for_read(self, model, **hints):
        """Return the database of a model."""
        return "archive" if model._meta.app_label == "jobs" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        """Say whether an app has its tables in a database."""
        return (db == "archive") == (app_label == "jobs")
