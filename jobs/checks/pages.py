"""System checks of what pages need: routes, a template and two middlewares."""

from typing import Any

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Hazard
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch
from django.utils.module_loading import import_string

from jobs.core.app_label import url_of
from jobs.middleware import StoreUnavailableMiddleware


def check_routes(**_: Any) -> list[CheckMessage]:
    """Warn if the project does not include the routes."""
    try:
        url_of("list")
    except NoReverseMatch:
        text = "The routes of jobs are not included, so there is no waiting page."
        hint = 'Add path("jobs/", include("jobs.urls")) to your URLconf.'
        return [Hazard(text, hint=hint, id="jobs.W005")]
    return []


def check_templates(**_: Any) -> list[CheckMessage]:
    """Check that a template engine finds the waiting page's template."""
    try:
        get_template("jobs/waiting.html")
    except TemplateDoesNotExist:
        text = "The waiting page has no template: no loader finds jobs/waiting.html."
        hint = "Add an entry to TEMPLATES with DjangoTemplates as its BACKEND and APP_DIRS = True."
        return [Error(text, hint=hint, id="jobs.E010")]
    return []


def check_middleware(**_: Any) -> list[CheckMessage]:
    """Warn if the middleware that answers during an outage of Redis is missing."""
    if _has_middleware(StoreUnavailableMiddleware):
        return []
    text = "StoreUnavailableMiddleware is missing: while Redis is down, pages answer 500, not 503."
    hint = 'Add "jobs.middleware.StoreUnavailableMiddleware" to MIDDLEWARE.'
    return [Hazard(text, hint=hint, id="jobs.W007")]


def check_sessions(**_: Any) -> list[CheckMessage]:
    """Warn if there are no sessions, because a visitor without a login owns jobs by a session."""
    if _has_middleware(SessionMiddleware):
        return []
    text = "Without sessions, visitors who are not logged in cannot start jobs."
    hint = (
        'Add "django.contrib.sessions.middleware.SessionMiddleware" to MIDDLEWARE. '
        "If only users may start jobs, silence this check."
    )
    return [Hazard(text, hint=hint, id="jobs.W014")]


def _has_middleware(wanted: type) -> bool:
    return any(_is_a(wanted, path) for path in settings.MIDDLEWARE)


def _is_a(wanted: type, path: str) -> bool:
    try:
        middleware = import_string(path)
    except ImportError:
        return False  # Django says so itself
    return isinstance(middleware, type) and issubclass(middleware, wanted)
