"""The one door to jobs, for views and sockets alike: who somebody is, and what they may see, claim and cancel.

Whoever may not see a job is told the same as if there were none.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from time import monotonic, time
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.db.models import Model
from django.http import HttpRequest, parse_cookie

from .conf import jobs_settings
from .core import topics
from .core.app_label import permission
from .exceptions import StoreUnavailable, not_found
from .job import Job
from .repository import JobRepository, is_id, owner_name
from .runtime.threads import in_thread

TICKET_SALT = "jobs.ticket"
VISITOR_KEY = (
    "jobs_visitor"  # in the session; it survives the change of the session's key at login
)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks at jobs: all the owners they are, whether they are staff with `jobs.view_job`, and the topic
    that a ticket of theirs opens.

    Rights are never more than one `TICKET_AGE` old. Their age counts from `as_of` by the monotonic
    clock: when the user was read, or when the ticket was issued.
    """

    owners: tuple[str, ...] = ()
    is_staff: bool = False
    topic: str = ""
    as_of: float = field(default_factory=monotonic, compare=False)

    @property
    def is_stale(self) -> bool:
        """Say whether the rights are too old to hear anything by them."""
        return monotonic() - self.as_of > jobs_settings().TICKET_AGE

    @property
    def is_ageing(self) -> bool:
        """Say whether to read the rights again now, before they are too old."""
        limits = jobs_settings()
        margin = min(2 * limits.RECONCILE_SECONDS, limits.TICKET_AGE / 2)
        return monotonic() - self.as_of > limits.TICKET_AGE - margin

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
                return [topics.job_topic(job_id)]  # who may see it is told by the job itself
            case {"mine": True}:
                mine = [self.topic] if self.topic.startswith(topics.owner_topic("")) else []
                return [topics.owner_topic(owner) for owner in self.owners] + mine
            case {"tag": str() as tag} if self.is_staff or self.topic == topics.tag_topic(tag):
                return [topics.tag_topic(tag)]
        return []

    def find(self, job_id: str) -> Job:
        """Find a job that they may see; raises `JobNotFound`, `StoreUnavailable`."""
        job = JobRepository().find(job_id)
        return self.following(job_id, job).admit(job)

    def following(self, job_id: str, job: Job) -> "Viewer":
        """Return the viewer with the rights on the job that was found under an id.

        A ticket for a draft's id opens the job that runs in its place.
        """
        if job.id != job_id and self.topic == topics.job_topic(job_id):
            return replace(self, topic=topics.job_topic(job.id))
        return self

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
    """Return the bearer of a ticket, or None if the ticket is forged, expired or malformed.

    Does not touch the database.
    """
    try:
        topic = signing.loads(str(text), salt=TICKET_SALT, max_age=jobs_settings().TICKET_AGE)
    except (signing.BadSignature, ValueError):
        return None
    issued_at = signing.b62_decode(str(text).rsplit(":", 2)[1])  # of `topic:timestamp:signature`
    age = max(0.0, time() - issued_at)
    return Viewer(topic=topic, as_of=monotonic() - age) if isinstance(topic, str) else None


def viewer_of(request: HttpRequest) -> Viewer:
    """Return who makes a request: by the session, and by a ticket in the header `X-Job-Ticket` or the form."""
    viewer = _viewer(getattr(request, "user", None), getattr(request, "session", None))
    given = request.headers.get("X-Job-Ticket") or (
        request.POST.get("ticket") if request.method == "POST" else ""
    )
    bearer = bearer_of(given) if given else None
    return replace(viewer, topic=bearer.topic) if bearer else viewer


async def viewer_of_scope(scope: Any, opened_at: float | None = None) -> Viewer:
    """Return who opened a socket: by a middleware's user, by the session, or by both.

    With `opened_at` (monotonic clock), believes the user and the session that middlewares put
    into the scope at that moment. Without it, reads both from where they are stored, in a thread.
    Raises `StoreUnavailable` if the database does not answer.
    """
    try:
        return await in_thread(_scope_viewer, scope, opened_at)
    except DatabaseFailure as error:
        raise StoreUnavailable(
            f"The database does not say who opened a socket: {error}"
        ) from error


def visitor_owner(session: Any) -> str:
    """Return the owner that somebody who is not logged in is in this session, or ""."""
    token = session.get(VISITOR_KEY) if session is not None else None
    return f"visitor:{token}" if token else ""


def owner_of(request: HttpRequest) -> str:
    """Return the owner that new jobs of this request belong to; a visitor gets a random token, kept in the session."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return owner_name(user)
    if not hasattr(request, "session"):
        raise ImproperlyConfigured(
            f"The request for {request.path} has neither a user nor a session to own its new job. "
            "Add SessionMiddleware, require a login, or name the owner: submit_job(…, owner=…)."
        )
    if VISITOR_KEY not in request.session:
        request.session[VISITOR_KEY] = secrets.token_urlsafe(24)
    return visitor_owner(request.session)


def _scope_viewer(scope: Any, opened_at: float | None) -> Viewer:
    as_of = monotonic() if opened_at is None else opened_at
    user = scope.get("user")
    if user is None or (opened_at is None and _is_of_session(user, scope.get("session"))):
        session = _session_of(scope)
        user = _user_of(session)
    elif opened_at is None:
        session, user = _session_of(scope), _reread(user)
    else:
        session = scope["session"] if "session" in scope else _session_of(scope)
    return replace(_viewer(user, session), as_of=as_of)


def _is_of_session(user: Any, session: Any) -> bool:
    """Say whether a socket's user was read from its session, not by the project's middleware."""
    if not user.is_authenticated:
        return True
    in_session = session.get(SESSION_KEY) if session is not None else None
    return isinstance(user, Model) and in_session == user._meta.pk.value_to_string(user)


def _reread(user: Any) -> Any:
    """Return the user as the database has it now; None if it is no row there."""
    model: Any = user.__class__  # a lazy object says which class it stands for
    return model._default_manager.filter(pk=user.pk).first() if isinstance(user, Model) else None


def _user_of(session: Any) -> Any:
    """Return the user who is logged in in a session, if the project has users."""
    if session is None or not apps.is_installed("django.contrib.auth"):
        return None
    request = HttpRequest()
    request.session = session
    return get_user(request)


def _session_of(scope: Any) -> Any:
    """Return a socket's session as it is stored now, read-only; None without one.

    Named by the session that a middleware put into the scope, or by the cookie.
    """
    given = scope.get("session")
    if given is not None:
        key = getattr(given, "session_key", None)
        return _read_only(given.__class__, key) if key else given
    cookies = b"; ".join(value for name, value in scope.get("headers", ()) if name == b"cookie")
    key = parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
    store = _session_store() if key else None
    return _read_only(store, key) if store else None


def _session_store() -> Any:
    """Return the class of the project's sessions; None if their app is not installed."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if hasattr(store, "get_model_class"):
        try:
            store.get_model_class()
        except RuntimeError:  # what Django raises for a model whose app is not installed
            return None
    return store


def _read_only(store: Any, key: str | None) -> Any:
    """Return a session that never writes to its store: a socket cannot send a new cookie.

    Django's `get_user` gives a session a new key after `SECRET_KEY` was rotated, which would log
    the person out. It ends a session whose password has changed; the next request does that.
    """
    session = store(key)
    for name in ("create", "save", "delete", "cycle_key"):
        setattr(session, name, _do_nothing)
    session.flush = session.clear
    return session


def _do_nothing(*_args: Any, **_kwargs: Any) -> None:
    pass


def _viewer(user: Any, session: Any) -> Viewer:
    owners: Iterable[str] = ()
    is_staff = False
    if user is not None and user.is_authenticated and user.is_active:
        owners = [owner_name(user)]
        is_staff = getattr(user, "is_staff", False) and user.has_perm(permission("view_job"))
    visitor = visitor_owner(session)
    return Viewer((*owners, *([visitor] if visitor else [])), is_staff)
