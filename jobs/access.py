"""The one door to jobs, for views and sockets alike: who somebody is, and what they may see, claim and cancel.

Whoever may not see a job is told the same as if there were none.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.core import signing
from django.http import HttpRequest, parse_cookie

from . import events
from .conf import jobs_settings
from .exceptions import not_found
from .job import Job
from .label import permission
from .repository import JobRepository, is_id, owner_name
from .threads import in_thread

TICKET_SALT = "jobs.ticket"
VISITOR_KEY = "jobs_visitor"  # in the session; it survives the change of the session's key at login


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks at jobs: all the owners they are, whether they are staff with `jobs.view_job`, and the topic
    that a ticket of theirs opens."""

    owners: tuple[str, ...] = ()
    is_staff: bool = False
    topic: str = ""

    def may_see(self, job: Job) -> bool:
        """Owners see their own jobs, staff sees all, and the bearer of a ticket those of its topic."""
        return self.is_staff or self.owns(job) or self.has_ticket_for(job)

    def may_claim(self, job: Job) -> bool:
        """Only the owner may claim; a job without one is claimed by staff or with a ticket."""
        return self.owns(job) if job.owner else self.may_see(job)

    def may_cancel(self, job: Job) -> bool:
        """Owner and staff may cancel; the bearer of a ticket only looks on."""
        return self.is_staff or self.owns(job)

    def may_terminate(self, job: Job) -> bool:
        """Staff may have a task killed that was asked to stop and has not."""
        return self.is_staff and job.is_cancel_asked and not job.is_ended

    def owns(self, job: Job) -> bool:
        """Say whether the job is theirs."""
        return job.owner in self.owners

    def has_ticket_for(self, job: Job) -> bool:
        """Say whether their ticket opens one of the job's topics."""
        return self.topic in job.topics

    def topics_for(self, target: Mapping[str, Any]) -> list[str]:
        """Return the topics of what a client asks to listen to: a job, its own jobs, a tag; none if it may not."""
        match target:
            case {"job": str() as job_id} if is_id(job_id):
                return [events.job_topic(job_id)]  # who may see it is told by the job itself
            case {"mine": True}:
                mine = [self.topic] if self.topic.startswith(events.owner_topic("")) else []
                return [events.owner_topic(owner) for owner in self.owners] + mine
            case {"tag": str() as tag} if self.is_staff or self.topic == events.tag_topic(tag):
                return [events.tag_topic(tag)]
        return []

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


def ticket(topic: str) -> str:
    """Return a ticket to listen to a topic (`job:<id>`, `owner:<owner>`, `tag:<tag>`) for `TICKET_AGE` seconds.

    Whoever bears it may look on, never claim what is another's. Signed with the project's key; keep it out of URLs.
    """
    return signing.dumps(topic, salt=TICKET_SALT)


def bearer_of(text: object) -> Viewer | None:
    """Return who bears a ticket, or None for one that is forged, expired or no ticket; asks no database."""
    try:
        topic = signing.loads(str(text), salt=TICKET_SALT, max_age=jobs_settings().TICKET_AGE)
    except (signing.BadSignature, ValueError):
        return None
    return Viewer(topic=topic) if isinstance(topic, str) else None


def viewer_of(request: HttpRequest) -> Viewer:
    """Return who makes a request: by the session, and by a ticket in the header `X-Job-Ticket` or the form."""
    viewer = _viewer(getattr(request, "user", None), getattr(request, "session", None))
    given = request.headers.get("X-Job-Ticket") or (request.POST.get("ticket") if request.method == "POST" else "")
    bearer = bearer_of(given) if given else None
    return replace(viewer, topic=bearer.topic) if bearer else viewer


async def viewer_of_scope(scope: Any, anew: bool = False) -> Viewer:
    """Return who opened a socket, from its session, read `anew` if asked for: at most two queries, in a thread."""
    return await in_thread(_scope_viewer, scope, anew)


def visitor_owner(session: Any) -> str:
    """Return the owner that somebody who is not logged in is in this session, or ""."""
    token = session.get(VISITOR_KEY) if session is not None else None
    return f"visitor:{token}" if token else ""


def owner_of(request: HttpRequest) -> str:
    """Return the owner that new jobs of this request belong to; a visitor gets a random token, kept in the session."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return owner_name(user)
    if VISITOR_KEY not in request.session:
        request.session[VISITOR_KEY] = secrets.token_urlsafe(24)
    return visitor_owner(request.session)


def _scope_viewer(scope: Any, anew: bool) -> Viewer:
    session = scope["session"] if "session" in scope else _session_of(scope)
    if session is None:
        return _viewer(scope.get("user"), None)
    if anew and (key := getattr(session, "session_key", None)):
        session = session.__class__(key)  # as it is stored now, not as it was when the socket opened
    request = HttpRequest()
    request.session = session
    user = None if anew else scope.get("user")
    return _viewer(user or get_user(request), session)


def _session_of(scope: Any) -> Any:
    """Return the session that a socket's cookie names, where no middleware has put it into the scope."""
    cookies = b"; ".join(value for name, value in scope.get("headers", ()) if name == b"cookie")
    key = parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def _viewer(user: Any, session: Any) -> Viewer:
    owners: Iterable[str] = ()
    is_staff = False
    if user is not None and user.is_authenticated and user.is_active:
        owners = [owner_name(user)]
        is_staff = user.is_staff and user.has_perm(permission("view_job"))
    visitor = visitor_owner(session)
    return Viewer((*owners, *([visitor] if visitor else [])), is_staff)
