"""The start-up of the app: it loads all handlers, and registers the system checks."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """The app. Subclass it with another label if the project has its own `jobs` app.

    See docs/an-app-called-jobs.md.
    """

    default = True
    name = "jobs"
    label = "jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registry of handlers from each app's `handlers.py`."""
        # The checks need the models, so they can only be imported now.
        import_module("jobs.checks.registration").register_all()
        import_module("jobs.live.logout").connect()
        autodiscover_modules("handlers")


class MeasuredJobsConfig(JobsConfig):
    """The app with Prometheus metrics. Needs the extra `metrics`."""

    default = False

    def ready(self) -> None:
        """Start counting."""
        super().ready()
        import_module("jobs.metrics").connect()
