"""A plain page instead of a traceback while Redis is away."""

from collections.abc import Callable

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from .exceptions import StoreUnavailable
from .waiting.redirects import is_allowed, same_page

TEMPLATE = "jobs/unavailable.html"
RETRY_AFTER = 5  # seconds


def unavailable(request: HttpRequest) -> HttpResponse:
    """Return the page that says so, and when to try again."""
    response = HttpResponse(_page(request), status=503)
    response["Retry-After"] = str(RETRY_AFTER)
    return response


def _page(request: HttpRequest) -> str:
    """Render the page; without the site's own menus and the like if they need the database too."""
    context = {"retry_url": _retry_url(request)}
    try:
        return render_to_string(TEMPLATE, context, request)
    except DatabaseError:
        return render_to_string(TEMPLATE, context)


def _retry_url(request: HttpRequest) -> str:
    """Return the page to try again: this one, or where a form was sent from."""
    if request.method in ("GET", "HEAD"):
        return same_page(request)
    referrer = request.headers.get("Referer", "")
    return referrer if is_allowed(referrer, request) else "/"


class StoreUnavailableMiddleware:
    """Answer 503 with `jobs/unavailable.html` when a view lets a `StoreUnavailable` through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn the one error into a page, leave all others alone."""
        return unavailable(request) if isinstance(error, StoreUnavailable) else None
