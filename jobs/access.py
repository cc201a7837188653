"""The one door to jobs, for views and sockets alike: who somebody is, and what they may see, claim and cancel.

Whoever may not see a job is told the same as if there were none.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.utils.http import is_same_domain

from .job import Job, not_found
from .repository import JobRepository, owner_name

VISITOR_KEY = "jobs_visitor"  # in the session; it survives the change of the session's key at login


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks at jobs: all the owners they are, and whether they are staff with `jobs.view_job`."""

    owners: tuple[str, ...] = ()
    is_staff: bool = False

    def may_see(self, job: Job) -> bool:
        """Owners see their own jobs, staff sees all."""
        return self.is_staff or self.may_own(job)

    def may_claim(self, job: Job) -> bool:
        """Only the owner may claim; a job without one may be claimed by staff."""
        return self.may_own(job) if job.owner else self.is_staff

    def may_cancel(self, job: Job) -> bool:
        """Owner and staff may cancel."""
        return self.may_see(job)

    def may_own(self, job: Job) -> bool:
        """Say whether the job is theirs."""
        return job.owner in self.owners

    def find(self, job_id: str) -> Job:
        """Find a job that they may see; raises `JobNotFound`, `StoreUnavailable`."""
        return self.admit(JobRepository().find(job_id))

    async def afind(self, job_id: str) -> Job:
        """Find it from asynchronous code."""
        return self.admit(await JobRepository().afind(job_id))

    def admit(self, job: Job) -> Job:
        """Return the job, or raise `JobNotFound` to those who may not see it."""
        if not self.may_see(job):
            raise not_found(job.id)
        return job


def viewer_of(request: HttpRequest) -> Viewer:
    """Return who makes a request."""
    return _viewer(getattr(request, "user", None), getattr(request, "session", None))


async def viewer_of_scope(scope: Any) -> Viewer:
    """Return who opened a socket, from its session: at most two queries, in a thread."""
    return await sync_to_async(_scope_viewer)(scope)


def owner_of(request: HttpRequest) -> str:
    """Return the owner that new jobs of this request belong to; a visitor gets a random token, kept in the session."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return owner_name(user)
    if VISITOR_KEY not in request.session:
        request.session[VISITOR_KEY] = secrets.token_urlsafe(24)
    return f"visitor:{request.session[VISITOR_KEY]}"


def is_same_origin(scope: Any) -> bool:
    """Compare a socket's whole Origin (scheme, host, port) with where it arrived, or with `CSRF_TRUSTED_ORIGINS`.

    The browser's same-origin policy does not hold for sockets (RFC 6455, 10.2), and a socket carries the cookies: so a
    missing Origin is refused too. The same rule as Django's for unsafe requests.
    """
    origin = _header(scope, b"origin")
    if origin is None:
        return False
    request = HttpRequest()
    request.META = {
        "HTTP_HOST": _header(scope, b"host") or "",
        **{name: _header(scope, key) or "" for name, key in _forwarding_headers().items()},
    }
    scheme = "https" if scope.get("scheme") in ("wss", "https") or request.is_secure() else "http"
    try:
        here = f"{scheme}://{request.get_host()}"
    except DisallowedHost:
        return False
    return origin == here or _is_trusted(origin)


def _forwarding_headers() -> dict[str, bytes]:
    names = ["HTTP_X_FORWARDED_HOST"] if settings.USE_X_FORWARDED_HOST else []
    if settings.SECURE_PROXY_SSL_HEADER:
        names.append(settings.SECURE_PROXY_SSL_HEADER[0])
    return {name: name.removeprefix("HTTP_").replace("_", "-").lower().encode() for name in names}


def _is_trusted(origin: str) -> bool:
    scheme, _, host = origin.partition("://")
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        trusted_scheme, _, pattern = trusted.partition("://")
        if scheme == trusted_scheme and (
            host == pattern or pattern.startswith("*") and is_same_domain(host, pattern[1:])
        ):
            return True
    return False


def _header(scope: Any, name: bytes) -> str | None:
    values = [value.decode("latin-1") for key, value in scope.get("headers", ()) if key.lower() == name]
    return values[0] if len(values) == 1 else None


def _scope_viewer(scope: Any) -> Viewer:
    session = scope.get("session")
    if session is None:
        return _viewer(scope.get("user"), None)
    request = HttpRequest()
    request.session = session
    return _viewer(scope.get("user") or get_user(request), session)


def _viewer(user: Any, session: Any) -> Viewer:
    owners: Iterable[str] = ()
    is_staff = False
    if user is not None and user.is_authenticated and user.is_active:
        owners = [owner_name(user)]
        is_staff = user.is_staff and user.has_perm("jobs.view_job")
    token = session.get(VISITOR_KEY) if session is not None else None
    return Viewer((*owners, *([f"visitor:{token}"] if token else [])), is_staff)
