"""Names that follow the app's label, which a subclass of `JobsConfig` may set: permissions and the URL namespace."""

from django.apps import apps
from django.urls import reverse


def app_label() -> str:
    """Return the label of this app; `jobs`, unless the project gives it another."""
    return next(config.label for config in apps.get_app_configs() if config.name == __package__)


def permission(codename: str) -> str:
    """Return the full name of one of this app's permissions, such as `jobs.view_job`."""
    return f"{app_label()}.{codename}"


def url_of(view: str, *args: str) -> str:
    """Return the address of one of this app's views: `list`, or `detail`, `ready` and `cancel` with a job's id.

    Raises `NoReverseMatch` if the project does not include the routes.
    """
    return reverse(f"{app_label()}:{view}", args=args)
