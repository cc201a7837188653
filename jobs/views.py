"""The routes of one job and of one's own jobs. Looking changes nothing; posting is guarded by the CSRF token.

Every answer is for one person at one moment, so none may be cached.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from django.conf import global_settings, settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.db import connections, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, get_resolver, is_valid_path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.vary import vary_on_headers

from .access import Viewer, ticket, viewer_of
from .archive.durations import usual
from .conf import socket_path
from .core import events, topics
from .core.app_label import url_of
from .exceptions import HandlerNotFound, JobEnded, JobNotFound, StoreUnavailable
from .job import Job
from .logs import get_logger
from .middleware import unavailable
from .push import frames
from .repository import JobRepository
from .tasks import terminate
from .waiting.claim import BUSY, ClaimFailed, NotEnded, claim
from .waiting.redirects import safe_url

logger = get_logger(__name__)

RETRY_AFTER = 2  # seconds that a polling client should wait
LISTED = 50  # newest jobs on the list page


class HttpResponseSeeOther(HttpResponseRedirect):
    """303: go there with GET (RFC 9110, 15.4.4)."""

    status_code = 303


def job_view(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Find the job for the one who asks, or answer 404 as for one that does not exist."""

    @wraps(view)
    def found(self: View, request: HttpRequest, job_id: str) -> HttpResponse:
        viewer = viewer_of(request)
        try:
            job = viewer.find(job_id)
            return view(self, request, job, viewer.following(job_id, job))
        except JobNotFound:
            raise Http404("There is no such job.") from None

    return found


def _outside_transactions(view: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a view out of its request's transaction on each database, because a claim has its own."""
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view


class JobsView(View):
    """What all the routes have in common."""

    @method_decorator(
        [
            login_not_required,
            _outside_transactions,
            never_cache,
            vary_on_headers("Accept", "Cookie"),
            csrf_protect,
        ]
    )
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer; never from a cache, be it a refusal: the job of an unknown id may be there a moment later."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except StoreUnavailable:  # also in a project that lacks the middleware
            return unavailable(request)
        except BUSY as error:  # even to read the session takes the database
            logger.warning(
                "%r is not answered now, because of the database: %s", request.path, error
            )
            return unavailable(request)
        except Http404 as missing:
            not_found: Callable[..., HttpResponse] = get_resolver().resolve_error_handler(404)
            return not_found(request, exception=missing)


class DetailView(JobsView):
    """The waiting page, or its frame as JSON."""

    @job_view
    def get(self, request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
        """Show the job as it is: 200; as JSON 202 while it runs and 200 when it has ended.

        The address of a draft in whose place another job runs leads to the page of that job.
        """
        if _wants_json(request):
            return _frame(job, 200 if job.is_ended else 202)
        if job.id != self.kwargs["job_id"]:  # an alias
            return HttpResponseSeeOther(job.get_absolute_url())
        return _waiting_page(request, job, viewer)


class ReadyView(JobsView):
    """The page calls back: the hook runs once, in the owner's own request."""

    @job_view
    def post(self, request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
        """Claim the job and send its owner on; to the waiting page if it has not ended, or is not theirs to claim."""
        if not viewer.may_claim(job):
            return (
                _frame(job, 403)
                if _wants_json(request)
                else HttpResponseSeeOther(job.get_absolute_url())
            )
        if not job.is_ended:
            return (
                _frame(job, 409)
                if _wants_json(request)
                else HttpResponseSeeOther(job.get_absolute_url())
            )
        try:
            url = claim(job, request)
        except NotEnded:
            return (
                _frame(job, 409)
                if _wants_json(request)
                else HttpResponseSeeOther(job.get_absolute_url())
            )
        except StoreUnavailable as error:
            logger.info("job %s: its claim has to be repeated: %s", job.id, error)
            return _try_claim_again(request, job, viewer)
        except ClaimFailed:
            return (
                _frame(job, 500)
                if _wants_json(request)
                else _waiting_page(request, job, viewer, 500, stuck=True)
            )
        return JsonResponse({"url": url}) if _wants_json(request) else HttpResponseSeeOther(url)


class CancelView(JobsView):
    """Ask the job to stop; if its task does not listen, staff may have it killed."""

    @job_view
    def post(self, request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
        """Cancel at once, or at the task's next progress call; harmless when it has ended."""
        if "terminate" in request.POST and viewer.may_terminate(job):
            terminate(job)
        elif viewer.may_cancel(job):
            with suppress(JobEnded):
                job.cancel()
        return (
            _frame(job) if _wants_json(request) else HttpResponseSeeOther(job.get_absolute_url())
        )


class ListView(JobsView):
    """My jobs, live."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """List the newest jobs of whoever asks, as a page or as JSON."""
        jobs = JobRepository().for_owners(viewer_of(request).owners, LISTED)
        shown = [frames.job_object(job) | {"claimed": bool(job.record.claimed_at)} for job in jobs]
        if _wants_json(request):
            return HttpResponse(frames.encode({"jobs": shown}), content_type="application/json")
        return render(request, "jobs/list.html", {"frames": shown, "socket_path": socket_path()})


def _try_claim_again(request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
    response = (
        _frame(job, 503) if _wants_json(request) else _waiting_page(request, job, viewer, 503)
    )
    response["Retry-After"] = str(RETRY_AFTER)
    return response


def _waiting_page(
    request: HttpRequest, job: Job, viewer: Viewer, status: int = 200, stuck: bool = False
) -> HttpResponse:
    return render(
        request, "jobs/waiting.html", waiting_context(request, job, viewer, stuck), status=status
    )


def waiting_context(
    request: HttpRequest, job: Job, viewer: Viewer, stuck: bool = False
) -> dict[str, Any]:
    """Return what `jobs/waiting.html` and `jobs/waiting_card.html` need of a job for the one who looks at it."""
    may_claim = viewer.may_claim(job)
    return {
        "job": job,
        "frame": frames.job_object(job),
        "may_claim": may_claim,
        "may_cancel": viewer.may_cancel(job) and not job.is_ended,
        "may_terminate": viewer.may_terminate(job),
        "is_staff": viewer.is_staff,
        "claimed_url": safe_url(job.claimed_url, job, request)
        if may_claim and job.claimed_url
        else "",
        "retry_url": _retry_url(request, job) if may_claim else "",
        "redirect_hidden": _redirects_hidden(job),
        "usual": "" if job.is_ended else str(usual(job.handler_class)),
        "now": job.now // 1000,
        "stuck": stuck,
        "list_url": url_of("list"),
        "ticket": ticket(topics.job_topic(job.id)),
        "socket_path": socket_path(),
        "login_url": _login_url(request, job),
    }


def _login_url(request: HttpRequest, job: Job) -> str:
    """Return the login page that leads back to the job, or "" for a visitor and where there is none."""
    user = getattr(request, "user", None)
    is_there = settings.LOGIN_URL != global_settings.LOGIN_URL or is_valid_path(settings.LOGIN_URL)
    if user is None or not user.is_authenticated or not is_there:
        return ""
    try:
        return redirect_to_login(job.get_absolute_url()).url
    except NoReverseMatch:  # a name that no URLconf has
        return ""


def _retry_url(request: HttpRequest, job: Job) -> str:
    try:
        url = job.handler.retry_url(request)
        return safe_url(url, job, request) if url else ""
    except Exception:
        logger.exception("job %s: %s.retry_url failed", job.id, job.handler_class)
        return ""


def _redirects_hidden(job: Job) -> bool:
    try:
        return job.handler.redirect_hidden
    except HandlerNotFound:
        return False


def _frame(job: Job, status: int = 200) -> HttpResponse:
    text = frames.frame(events.OF_STATE[job.state], job)
    response = HttpResponse(text, content_type="application/json", status=status)
    if not job.is_ended:
        response["Retry-After"] = str(RETRY_AFTER)
    return response


def _wants_json(request: HttpRequest) -> bool:
    kinds = [
        "text/html",
        "application/json",
        "application/json; charset=utf-8",
    ]  # Django tells a parameter apart
    return (request.get_preferred_type(kinds) or "").startswith("application/json")
