"""Names that follow the app's label: its permissions and the namespace of its URLs.

A subclass of `JobsConfig` may set another label.
"""

from django.apps import apps
from django.conf import settings
from django.urls import get_script_prefix, reverse, set_script_prefix


def app_label() -> str:
    """Return the label of this app; `jobs`, unless the project gives it another."""
    return next(config.label for config in apps.get_app_configs() if config.name == "jobs")


def permission(codename: str) -> str:
    """Return the full name of one of this app's permissions, such as `jobs.view_job`."""
    return f"{app_label()}.{codename}"


def url_of(view: str, *args: str) -> str:
    """Return the address of one of this app's views.

    A view is `list`, or with a job's id `detail`, `ready` or `cancel`.
    Raises `NoReverseMatch` if the project does not include the routes.
    Django applies FORCE_SCRIPT_NAME in its main thread and in requests only. This function also
    applies it in other threads, such as those of a worker's pool.
    """
    if settings.FORCE_SCRIPT_NAME and get_script_prefix() == "/":
        set_script_prefix(settings.FORCE_SCRIPT_NAME)
    return reverse(f"{app_label()}:{view}", args=args)
