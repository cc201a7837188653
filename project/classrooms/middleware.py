"""The strict Content-Security-Policy of every page, because Django 5.2 has none of its own."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

POLICY = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
DEBUG_PAGES = {404, 500}  # Django's own pages for developers use inline styles and scripts


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    """Allows only what this host serves: no inline script, no inline style, no frame."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add the policy to a response that has none of its own."""
        if not (settings.DEBUG and response.status_code in DEBUG_PAGES):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
