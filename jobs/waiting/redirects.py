"""Decides where a person may be redirected: to this host, or to a host that the project allows.

A relative address is joined first and the result is checked, because a browser follows the result.
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
NOT_ALLOWED = (
    "job %s: %s would redirect to %r, which is not on this host. "
    "JOBS['ALLOWED_REDIRECT_HOSTS'] may allow other hosts."
)

_SLASHES_WITHOUT_HOST = re.compile(r"[/\\]{2}([/\\?#]|$)")  # no browser can follow it


def safe_url(url: object, job: Job, request: HttpRequest) -> str:
    """Return the address that the handler gave, or the list of jobs if it is not allowed.

    A relative address starts from the waiting page, even if a script on another page follows it.
    """
    text = "" if url is None else str(url)
    if address := _joined(text.strip(" "), job.get_absolute_url(), request):
        return address
    logger.error(NOT_ALLOWED, job.id, job.handler_class, text[:LONGEST_URL] or url)
    return _or_root(url_of("list"), request)


def same_page(request: HttpRequest) -> str:
    """Return the address of the requested page, for a link or a redirect back to it."""
    return _or_root(request.get_full_path(), request)


def is_allowed(url: str, request: HttpRequest) -> bool:
    """Return whether the address leads to this host or an allowed one, by http or https.

    Pass only addresses that are absolute or begin with a slash: they mean the same on every page.
    """
    hosts = {request.get_host(), *jobs_settings().ALLOWED_REDIRECT_HOSTS}
    if not url.isprintable() or len(url) > LONGEST_URL or _SLASHES_WITHOUT_HOST.match(url):
        return False
    return url_has_allowed_host_and_scheme(url, hosts, require_https=request.is_secure())


def _joined(text: str, base: str, request: HttpRequest) -> str:
    """Return where the text leads from a page of ours, or "" if that is not allowed."""
    if not is_allowed(text, request):
        return ""
    if text.startswith("/") or urlsplit(text).netloc:
        return text
    # urljoin drops the first slash if `..` climbs too far
    path = "/" + urljoin(base, text).lstrip("/")
    return path if is_allowed(path, request) else ""


def _or_root(path: str, request: HttpRequest) -> str:
    """Return a path of ours, or "/" if a client's header has given it a foreign prefix."""
    return path if path.startswith("/") and is_allowed(path, request) else "/"
