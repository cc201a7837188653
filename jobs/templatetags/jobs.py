"""Tags that put live jobs into any page: `{% load jobs %}{% job_bell %}`.

Each writes a custom element with a ticket where it needs one, and loads the script and the styles once for each page.
A ticket lets whoever sees the page look on, so show the tag only to those who may.
"""

from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
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
from jobs.views import waiting_context

try:
    from django.middleware.csp import get_nonce
except ImportError:  # before Django 6
    get_nonce = None  # type: ignore[assignment]

register = template.Library()

Context = dict[str, Any]

ICONS = ("0", "25", "50", "75", "ready", "stopped")  # waiting/background.js knows them by their places


@register.filter
def strip(text: str) -> str:
    """Leave out the blanks and line ends around a text, which a template's layout has put there."""
    return text.strip()


@register.filter
def in_percent(percent: int) -> str:
    """Write per cents as the reader's language does, and as the scripts will."""
    return _("%(percent)s%%") % {"percent": percent}


@register.filter
def moment(iso: str | None) -> str:
    """Tell a frame's moment to a reader without JavaScript: the time of today's, else the day."""
    at = localtime(parse_datetime(iso)) if iso else None
    if at is None:
        return ""
    return date_format(
        at, "TIME_FORMAT" if at.date() == localdate(aware_time(now())) else "DATE_FORMAT"
    )


@register.simple_tag
def job_url(view: str, *args: str) -> str:
    """Return the address of one of the app's own views, under whatever label the app has."""
    return url_of(view, *args)


@register.simple_tag(takes_context=True)
def jobs_nonce(context: template.Context) -> str:
    """Write the nonce of the request's Content-Security-Policy as an attribute, if the request has one.

    Django 6's own middleware and django-csp make one; neither counts as used, and as allowed, until it is written.
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
    """Write where the page opens its socket; "" where there is none."""
    return socket_path()


@register.simple_tag
def jobs_icons() -> str:
    """Write the addresses of the icons with which a hidden tab shows how far its job is."""
    return " ".join(static(f"jobs/icon-{name}.svg") for name in ICONS)


@register.inclusion_tag("jobs/job_status.html", takes_context=True)
def job_status(context: template.Context, job: Job) -> Context:
    """Show how a job is, in a word that changes with it."""
    return _of_job(context, job)


@register.inclusion_tag("jobs/job_progress.html", takes_context=True)
def job_progress(context: template.Context, job: Job) -> Context:
    """Show how far a job is, with a bar."""
    return _of_job(context, job)


@register.inclusion_tag("jobs/job_bell.html", takes_context=True)
def job_bell(context: template.Context) -> Context:
    """Show how many of my jobs have ended and wait to be looked at, and a list of them."""
    return _element(context)


@register.inclusion_tag("jobs/job_list_tag.html", takes_context=True)
def job_list(context: template.Context, tag: str = "") -> Context:
    """List my jobs, live; with `tag` everybody's that carry it, to look on."""
    return _element(context) | (
        {"tag": tag, "ticket": ticket(topics.tag_topic(tag))} if tag else {}
    )


@register.inclusion_tag("jobs/job_waiting.html", takes_context=True)
def job_waiting(context: template.Context, job: Job) -> Context:
    """Put the whole waiting page's content into a page of one's own; raises `JobNotFound` for who may not see it."""
    request: HttpRequest = context["request"]
    viewer = viewer_of(request)
    content = waiting_context(request, viewer.admit(job), viewer)
    return content | _element(context) | {"csrf_token": context.get("csrf_token")}


def _of_job(context: template.Context, job: Job) -> Context:
    topic = topics.job_topic(job.id)
    return _element(context) | {"frame": frames.job_object(job), "ticket": ticket(topic)}


def _element(context: template.Context) -> Context:
    """Return what the templates of all elements need."""
    return {"request": _request_of(context)}


def _request_of(context: template.Context) -> HttpRequest | None:
    """Return the request, which an included template may know only as that of its context."""
    request: HttpRequest | None = context.get("request") or getattr(context, "request", None)
    return request
