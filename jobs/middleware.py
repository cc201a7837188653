"""Shows a plain page instead of a traceback while Redis does not answer."""

from collections.abc import Callable

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from .exceptions import StoreUnavailable
from .waiting.redirects import is_allowed, same_page

TEMPLATE = "jobs/unavailable.html"
OUTAGE_SECONDS = 5  # the Retry-After of the page


def unavailable(request: HttpRequest) -> HttpResponse:
    """Answer 503, with a page that offers another try."""
    response = HttpResponse(_page(request), status=503)
    response["Retry-After"] = str(OUTAGE_SECONDS)
    return response


def _page(request: HttpRequest) -> str:
    """Render the page, without context processors if they need a database that is busy."""
    context = {"retry_url": _retry_url(request)}
    try:
        return render_to_string(TEMPLATE, context, request)
    except DatabaseError:
        return render_to_string(TEMPLATE, context)


def _retry_url(request: HttpRequest) -> str:
    """Return the page to try again: this one, or the page of the form that was posted."""
    if request.method in ("GET", "HEAD"):
        return same_page(request)
    referrer = request.headers.get("Referer", "")
    return referrer if is_allowed(referrer, request) else "/"


class StoreUnavailableMiddleware:
    """Answer 503 with `jobs/unavailable.html` when a view raises `StoreUnavailable`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer `StoreUnavailable` with the page; leave every other exception alone."""
        return unavailable(request) if isinstance(error, StoreUnavailable) else None
