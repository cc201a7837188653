"""Template tags that put live jobs into any page: `{% load jobs %}{% job_bell %}`.

Each tag writes a custom element, with a ticket if it needs one. The first tag of a page also loads
the script and the styles. A ticket lets everybody who sees the page watch the job, so show a tag
only to people who may.
"""

from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.timezone import localdate, localtime, now
from django.utils.translation import gettext as _

from jobs.access import ticket, viewer_of
from jobs.archive.database_time import aware_time
from jobs.conf import socket_path
from jobs.core import topics
from jobs.core.app_label import url_of
from jobs.job import Job
from jobs.push import frames
from jobs.states import JobState
from jobs.waiting.page import waiting_context

try:
    from django.middleware.csp import get_nonce
except ImportError:  # before Django 6
    get_nonce = None  # type: ignore[assignment]

register = template.Library()

Context = dict[str, Any]

ICONS = ("0", "25", "50", "75", "ready", "stopped")  # waiting/background.js relies on the order
STATE_NAMES = [state.value for state in JobState]
ALL_STATES = "states"  # stands for the names of all states in a list of words


@register.filter
def strip(text: str) -> str:
    """Strip the blanks and line breaks that a template's layout puts around a text."""
    return text.strip()


@register.filter
def in_percent(percent: int) -> str:
    """Write per cents in the active language, as the scripts do."""
    return _("%(percent)s%%") % {"percent": percent}


@register.filter
def moment(iso: str | None) -> str:
    """Write a time for readers without JavaScript: the time of day for today, else the date."""
    at = localtime(parse_datetime(iso)) if iso else None
    if at is None:
        return ""
    is_today = at.date() == localdate(aware_time(now()))
    return date_format(at, "TIME_FORMAT" if is_today else "DATE_FORMAT")


@register.filter
def state_status(name: str) -> Promise | str:
    """Return what pages say about a state; "" if no state has this name."""
    return JobState(name).status if name in STATE_NAMES else ""


@register.filter
def word_names(names: str) -> list[str]:
    """Split a list of words, and put the names of all states in the place of "states"."""
    split = names.split()
    if ALL_STATES not in split:
        return split
    return [*STATE_NAMES, *(name for name in split if name != ALL_STATES)]


@register.simple_tag
def job_url(view: str, *args: str) -> str:
    """Return the URL of one of the app's views, whatever label the app has."""
    return url_of(view, *args)


@register.simple_tag(takes_context=True)
def jobs_nonce(context: template.Context) -> str:
    """Write the nonce of the request's Content-Security-Policy as an attribute, if it has one.

    Django 6's own middleware and django-csp make a nonce. Both allow it only once it was written.
    """
    request = _request_of(context)
    nonce = getattr(request, "csp_nonce", None)
    if nonce is None and get_nonce is not None and request is not None:
        nonce = get_nonce(request)
    return "" if nonce is None else format_html(' nonce="{}"', nonce)


@register.inclusion_tag("jobs/assets.html", takes_context=True)
def jobs_assets(context: template.Context) -> Context:
    """Load the script and the styles of the elements, once for each page."""
    request = _request_of(context)
    is_first = not getattr(request, "_jobs_assets", False)
    if request is not None:
        request._jobs_assets = True  # type: ignore[attr-defined]
    return {"request": request, "is_first": is_first}


@register.simple_tag
def jobs_socket_path() -> str:
    """Write where the page opens its socket; "" if there is none."""
    return socket_path()


@register.simple_tag
def jobs_icons() -> str:
    """Write the URLs of the icons with which a hidden tab shows its job's progress."""
    return " ".join(static(f"jobs/icon-{name}.svg") for name in ICONS)


@register.inclusion_tag("jobs/job_status.html", takes_context=True)
def job_status(context: template.Context, job: Job) -> Context:
    """Show a job's state as a word that changes with it."""
    return _job_context(context, job)


@register.inclusion_tag("jobs/job_progress.html", takes_context=True)
def job_progress(context: template.Context, job: Job) -> Context:
    """Show a job's progress as a bar."""
    return _job_context(context, job)


@register.inclusion_tag("jobs/job_bell.html", takes_context=True)
def job_bell(context: template.Context) -> Context:
    """Show how many of my jobs have ended unseen, and a list of my jobs."""
    return _element_context(context)


@register.inclusion_tag("jobs/job_list_tag.html", takes_context=True)
def job_list(context: template.Context, tag: str = "") -> Context:
    """List my jobs, live; with `tag` everybody's jobs that carry it, to watch only."""
    shared = _element_context(context)
    if not tag:
        return shared
    return shared | {"tag": tag, "ticket": ticket(topics.tag_topic(tag))}


@register.inclusion_tag("jobs/job_waiting.html", takes_context=True)
def job_waiting(context: template.Context, job: Job) -> Context:
    """Put the content of the waiting page into a page of your own.

    Raises `JobNotFound` if the viewer may not see the job.
    """
    request: HttpRequest = context["request"]
    viewer = viewer_of(request)
    content = waiting_context(request, viewer.admit(job), viewer)
    return content | _element_context(context) | {"csrf_token": context.get("csrf_token")}


def _job_context(context: template.Context, job: Job) -> Context:
    job_ticket = ticket(topics.job_topic(job.id))
    return _element_context(context) | {"frame": frames.job_object(job), "ticket": job_ticket}


def _element_context(context: template.Context) -> Context:
    """Return what the templates of all elements need."""
    return {"request": _request_of(context)}


def _request_of(context: template.Context) -> HttpRequest | None:
    """Return the request. Inside an included template only the context object may know it."""
    request: HttpRequest | None = context.get("request") or getattr(context, "request", None)
    return request
