"""The class that a project subclasses to say what its waiting page shows, and what comes after it.

A handler is named by its dotted path and looked up in a registry, which subclassing fills. A path
from Redis or from a client is only ever a key of that registry. It is never imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .core.app_label import url_of
from .core.snapshot import JobSnapshot
from .exceptions import HandlerNotFound

__all__ = ["JobHandler", "JobSnapshot", "find_handler", "handler_paths", "path_of"]

_registry: dict[str, type[JobHandler]] = {}


class JobHandler:
    """Describe one kind of job to the person who waits for it.

    `header`, `message` and `public_data` are computed for each frame, in the worker or the server,
    so they read nothing but `self.job`. `header` and `message` may be attributes or methods.

    The other methods run in the owner's own request. One of `on_ready` and `on_failed` runs, in a
    database transaction that commits exactly once. If it raises, the transaction is rolled back,
    and the owner may try again.

    `self.job` is to be read, because no verb of a job makes sense here: the job has ended, or a
    frame is made of it.
    """

    header: ClassVar[Any] = _("Please wait")
    message: ClassVar[Any] = ""
    redirect_hidden: ClassVar[bool] = False  # whether a page in a hidden tab moves on as well

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _registry[path_of(cls)] = cls

    def __init__(self, job: JobSnapshot) -> None:
        self.job = job

    def next_url(self, request: HttpRequest) -> str:
        """Return where the owner goes when the job is complete; by default to their jobs."""
        return url_of("list")

    def failed_url(self, request: HttpRequest) -> str:
        """Return where the owner goes after any other end; by default to their jobs."""
        return url_of("list")

    def retry_url(self, request: HttpRequest) -> str:
        """Return the page where the owner can start the job again, or "" if there is none.

        The waiting page links to it beside *Continue* when the job has not completed.
        """
        return ""

    def on_ready(self, request: HttpRequest) -> None:
        """Run once, in the owner's own request, when the job is complete."""

    def on_failed(self, request: HttpRequest) -> None:
        """Run once instead of `on_ready` if the job failed, was cancelled, expired or was lost."""

    def rerun(self, request: HttpRequest) -> JobSnapshot:
        """Start the work of an ended job again, for its owner, and return the new job.

        Staff runs it from the admin, which offers this only if the handler has the method. Most
        need one line: `return start_again(the_task, self.job)`, from `jobs.rerun`. The text of a
        `JobError` is shown to the member of staff.
        """
        raise NotImplementedError

    def public_data(self) -> Mapping[str, Any]:
        """Return what pages may see besides the job's state, as JSON values."""
        return {}


def path_of(handler_class: type[JobHandler] | str) -> str:
    """Return the dotted path of a handler's class, which may be nested; a path stays as it is."""
    if isinstance(handler_class, type):
        return f"{handler_class.__module__}.{handler_class.__qualname__}"
    return str(handler_class)


def find_handler(handler_class: type[JobHandler] | str) -> type[JobHandler]:
    """Look up a handler by class or dotted path. Raises `HandlerNotFound`."""
    path = path_of(handler_class)
    try:
        return _registry[path]
    except KeyError:
        raise HandlerNotFound(
            f"No JobHandler {path!r} has been loaded. Subclass jobs.handlers.JobHandler in the "
            "`handlers.py` of an installed app, or import its module at start-up. "
            f"Loaded: {', '.join(handler_paths())}."
        ) from None


def handler_paths() -> list[str]:
    """Return the dotted paths of all loaded handlers."""
    return sorted(_registry)


_registry[path_of(JobHandler)] = JobHandler
