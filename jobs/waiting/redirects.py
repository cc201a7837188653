"""Where a person may be sent on to: a place on this host, or on a host that the project allows.

A relative address is joined first, and the result is checked, because a browser follows the result.
"""

import re
from urllib.parse import urljoin, urlsplit

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from jobs.conf import jobs_settings
from jobs.core.app_label import url_of
from jobs.job import Job
from jobs.logs import get_logger

logger = get_logger(__name__)

LONGEST_URL = 2000  # characters

_NAMES_NO_HOST = re.compile(r"[/\\]{2}([/\\?#]|$)")  # no browser can follow it


def safe_url(url: object, job: Job, request: HttpRequest) -> str:
    """Return the place that the handler named, or the list of jobs if nobody may be sent there.

    A relative address starts from the waiting page, also when a script on another page follows it.
    """
    text = "" if url is None else str(url)
    if place := _joined(text.strip(" "), job.get_absolute_url(), request):
        return place
    logger.error(
        "job %s: %s would redirect to %r, which is not on this host; JOBS['ALLOWED_REDIRECT_HOSTS'] may name others",
        job.id,
        job.handler_class,
        text[:LONGEST_URL] or url,
    )
    return _or_root(url_of("list"), request)


def same_page(request: HttpRequest) -> str:
    """Return the address of the page that was asked for, to link to it or to come back to it."""
    return _or_root(request.get_full_path(), request)


def is_allowed(url: str, request: HttpRequest) -> bool:
    """Say whether the address leads to this host or an allowed one, by http or https.

    Judge only addresses that are absolute or begin with a slash. They mean the same on every page.
    """
    hosts = {request.get_host(), *jobs_settings().ALLOWED_REDIRECT_HOSTS}
    is_plain = url.isprintable() and len(url) <= LONGEST_URL and not _NAMES_NO_HOST.match(url)
    return is_plain and url_has_allowed_host_and_scheme(
        url, hosts, require_https=request.is_secure()
    )


def _joined(text: str, base: str, request: HttpRequest) -> str:
    """Return where the text leads from a page of this host, or "" if that is not allowed."""
    if not is_allowed(text, request):
        return ""
    if text.startswith("/") or urlsplit(text).netloc:
        return text
    place = "/" + urljoin(base, text).lstrip("/")  # urljoin drops it when `..` climbs too far
    return place if is_allowed(place, request) else ""


def _or_root(path: str, request: HttpRequest) -> str:
    """Return a path of ours, or "/": a client's header may set its prefix."""
    return path if path.startswith("/") and is_allowed(path, request) else "/"
