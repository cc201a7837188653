"""Decides who a viewer is, and which jobs they may see, claim and cancel; for views and sockets.

A job that the viewer may not see is answered exactly like one that does not exist.
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
VISITOR_KEY = "jobs_visitor"  # in the session, where it survives the new session key at login


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks at jobs, and the rights they have.

    `owners` are all their names as an owner. `is_staff` means staff with `jobs.view_job`. `topic`
    is what their ticket opens. Rights are used for one `TICKET_AGE` at most, counted from `as_of`
    on the monotonic clock: when the user was read, or when the ticket was issued.
    """

    owners: tuple[str, ...] = ()
    is_staff: bool = False
    topic: str = ""
    as_of: float = field(default_factory=monotonic, compare=False)

    @property
    def is_stale(self) -> bool:
        """Whether the rights are too old to use."""
        return monotonic() - self.as_of > jobs_settings().TICKET_AGE

    @property
    def is_ageing(self) -> bool:
        """Whether it is time to read the rights again, before they are too old."""
        limits = jobs_settings()
        margin = min(2 * limits.RECONCILE_SECONDS, limits.TICKET_AGE / 2)
        return monotonic() - self.as_of > limits.TICKET_AGE - margin

    def may_see(self, job: Job) -> bool:
        """Owners see their own jobs, staff all jobs, and the bearer of a ticket its topic's."""
        return self.is_staff or self.owns(job) or self.has_ticket_for(job)

    def may_claim(self, job: Job) -> bool:
        """Only the owner may claim; a job without an owner, anybody who may see it."""
        return self.owns(job) if job.owner else self.may_see(job)

    def may_cancel(self, job: Job) -> bool:
        """Owner and staff may cancel; a ticket is only for watching."""
        return self.is_staff or self.owns(job)

    def may_terminate(self, job: Job) -> bool:
        """Staff may have a task killed that was asked to stop and did not."""
        return self.is_staff and job.is_cancel_asked and not job.is_ended

    def owns(self, job: Job) -> bool:
        """Whether they own the job."""
        return bool(job.owner) and job.owner in self.owners

    def has_ticket_for(self, job: Job) -> bool:
        """Whether their ticket opens one of the job's topics."""
        return self.topic in job.topics

    def topics_for(self, target: Mapping[str, Any]) -> list[str]:
        """Return the topics of a subscription (a job, "mine", a tag); none if it is not allowed.

        Any job's topic is returned, because `admit` checks the job itself later.
        """
        match target:
            case {"job": str() as job_id} if is_id(job_id):
                return [topics.job_topic(job_id)]
            case {"mine": True}:
                mine = [self.topic] if self.topic.startswith(topics.owner_topic("")) else []
                return [topics.owner_topic(owner) for owner in self.owners] + mine
            case {"tag": str() as tag} if self.is_staff or self.topic == topics.tag_topic(tag):
                return [topics.tag_topic(tag)]
        return []

    def find(self, job_id: str) -> Job:
        """Find a job that they may see. Raises `JobNotFound` and `StoreUnavailable`."""
        job = JobRepository().find(job_id)
        return self.following(job_id, job).admit(job)

    def following(self, job_id: str, job: Job) -> "Viewer":
        """Return the viewer with a ticket for the job that was found under this id.

        The ticket may be for a draft in whose place the job runs.
        """
        if job.id != job_id and self.topic == topics.job_topic(job_id):
            return replace(self, topic=topics.job_topic(job.id))
        return self

    def admit(self, job: Job) -> Job:
        """Return the job. Raises `JobNotFound` if they may not see it."""
        if not self.may_see(job):
            raise not_found(job.id)
        return job


def ticket(topic: str) -> str:
    """Return a ticket to watch a topic (`job:<id>`, `owner:<owner>`, `tag:<tag>`).

    It is valid for `TICKET_AGE` seconds, and signed with the project's key. Its bearer may watch,
    but never claims another owner's job. Keep it out of URLs.
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
    """Return who makes a request, by their user, their session and their ticket."""
    viewer = _viewer(getattr(request, "user", None), getattr(request, "session", None))
    given = _given_ticket(request)
    bearer = bearer_of(given) if given else None
    return replace(viewer, topic=bearer.topic) if bearer else viewer


def _given_ticket(request: HttpRequest) -> str | None:
    """Return the ticket from the header `X-Job-Ticket`, or from a posted form."""
    in_header = request.headers.get("X-Job-Ticket")
    if in_header or request.method != "POST":
        return in_header
    return request.POST.get("ticket")


async def viewer_of_scope(scope: Any, opened_at: float | None = None) -> Viewer:
    """Return who opened a socket, by a middleware's user, by the session, or by both.

    With `opened_at` (monotonic clock), trusts the user and the session that middlewares put into
    the scope at that moment. Without it, reads both again in a thread. Raises `StoreUnavailable`
    if the database does not answer.
    """
    try:
        return await in_thread(_scope_viewer, scope, opened_at)
    except DatabaseFailure as error:
        text = f"The user of a socket could not be read from the database: {error}"
        raise StoreUnavailable(text) from error


def visitor_owner(session: Any) -> str:
    """Return the owner name that this session has without a login, or ""."""
    token = session.get(VISITOR_KEY) if session is not None else None
    return f"visitor:{token}" if token else ""


def owner_of(request: HttpRequest) -> str:
    """Return the owner of new jobs of this request.

    That is the user. A visitor gets a random token, which is kept in the session.
    """
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
    """Whether a socket's user comes from its session, not from the project's own middleware."""
    if not user.is_authenticated:
        return True
    in_session = session.get(SESSION_KEY) if session is not None else None
    return isinstance(user, Model) and in_session == user._meta.pk.value_to_string(user)


def _reread(user: Any) -> Any:
    """Return the user as the database has it now, or None if it has no such row."""
    model: Any = user.__class__  # for a lazy object, the class that it stands for
    return model._default_manager.filter(pk=user.pk).first() if isinstance(user, Model) else None


def _user_of(session: Any) -> Any:
    """Return the user who is logged in with a session, if the project has users."""
    if session is None or not apps.is_installed("django.contrib.auth"):
        return None
    request = HttpRequest()
    request.session = session
    return get_user(request)


def _session_of(scope: Any) -> Any:
    """Return a socket's session as it is stored now, read-only, or None if it has none.

    Its key comes from the session that a middleware put into the scope, or from the cookie.
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
    """Return the class of the project's sessions, or None if their app is not installed."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if hasattr(store, "get_model_class"):
        try:
            store.get_model_class()
        except RuntimeError:  # Django's error for a model whose app is not installed
            return None
    return store


def _read_only(store: Any, key: str | None) -> Any:
    """Return a session that never writes to its store, because a socket cannot send a cookie.

    Django's `get_user` may write. After `SECRET_KEY` was rotated, it gives the session a new key,
    which would log the person out. After a change of password, it ends the session; the next
    request does that anyway.
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
