"""A Content-Security-Policy with a nonce, as django-csp makes it."""

import secrets

from django.utils.deprecation import MiddlewareMixin

POLICY = (
    "default-src 'none'; script-src 'nonce-{0}' 'strict-dynamic'; style-src 'nonce-{0}';"
    " img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'"
)


class NonceMiddleware(MiddlewareMixin):
    """Allow only scripts and styles that carry the nonce of their request."""

    def process_request(self, request):
        """Make a nonce."""
        request.csp_nonce = secrets.token_urlsafe(16)

    def process_response(self, request, response):
        """Set the policy."""
        response.headers["Content-Security-Policy"] = POLICY.format(request.csp_nonce)
        return response
