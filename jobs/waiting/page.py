"""Builds what the templates of the waiting page need to know about one job."""

from typing import Any

from django.conf import global_settings, settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.urls import NoReverseMatch, is_valid_path

from jobs.access import Viewer, ticket
from jobs.archive.durations import typical_durations
from jobs.conf import socket_path
from jobs.core import topics
from jobs.core.app_label import url_of
from jobs.exceptions import HandlerNotFound
from jobs.job import Job
from jobs.logs import get_logger
from jobs.push import frames

from .redirects import safe_url

logger = get_logger(__name__)


def waiting_context(
    request: HttpRequest, job: Job, viewer: Viewer, stuck: bool = False
) -> dict[str, Any]:
    """Return the context of `jobs/waiting.html` and `jobs/waiting_card.html` for this viewer.

    `stuck` means that the job's hook has just failed, so the page offers another try.
    """
    may_claim = viewer.may_claim(job)
    return {
        "job": job,
        "frame": frames.job_object(job),
        "may_claim": may_claim,
        "may_cancel": viewer.may_cancel(job) and not job.is_ended,
        "may_terminate": viewer.may_terminate(job),
        "is_staff": viewer.is_staff,
        "claimed_url": _claimed_url(request, job) if may_claim else "",
        "retry_url": _retry_url(request, job) if may_claim else "",
        "redirect_hidden": _redirects_hidden(job),
        "usual": "" if job.is_ended else str(typical_durations(job.handler_class)),
        "now": job.now // 1000,  # milliseconds, for the page's script
        "stuck": stuck,
        "list_url": url_of("list"),
        "ticket": ticket(topics.job_topic(job.id)),
        "socket_path": socket_path(),
        "login_url": _login_url(request, job),
    }


def _claimed_url(request: HttpRequest, job: Job) -> str:
    """Return where the owner was sent when the job was claimed, or "" before that."""
    return safe_url(job.claimed_url, job, request) if job.claimed_url else ""


def _retry_url(request: HttpRequest, job: Job) -> str:
    """Return the page where the owner can start the job again, or "" if the handler has none."""
    try:
        url = job.handler.retry_url(request)
        return safe_url(url, job, request) if url else ""
    except Exception:
        logger.exception("job %s: %s.retry_url failed", job.id, job.handler_class)
        return ""


def _redirects_hidden(job: Job) -> bool:
    try:
        return job.handler.redirect_hidden
    except HandlerNotFound:
        return False


def _login_url(request: HttpRequest, job: Job) -> str:
    """Return the login page that leads back to the job.

    Return "" for a visitor, and in a project without a login page.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not _has_login_page():
        return ""
    try:
        return redirect_to_login(job.get_absolute_url()).url
    except NoReverseMatch:  # LOGIN_URL is a name that no URLconf has
        return ""


def _has_login_page() -> bool:
    """Whether the project chose a login page, or serves one at Django's default address."""
    is_chosen = settings.LOGIN_URL != global_settings.LOGIN_URL
    return is_chosen or bool(is_valid_path(settings.LOGIN_URL))
