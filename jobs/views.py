"""The pages and JSON answers for one job, and for the list of a visitor's own jobs.

A GET changes nothing. A POST needs the CSRF token. Every answer is for one person at one moment,
so none may be cached.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import get_resolver
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.vary import vary_on_headers

from .access import Viewer, viewer_of
from .conf import socket_path
from .core import event_names
from .exceptions import JobEnded, JobNotFound, StoreUnavailable
from .job import Job
from .logs import get_logger
from .middleware import unavailable
from .push import frames
from .repository import JobRepository
from .tasks import terminate
from .waiting.claim import NotEnded, claim
from .waiting.hook import DATABASE_BUSY, ClaimFailed
from .waiting.page import waiting_context

logger = get_logger(__name__)

POLL_SECONDS = 2  # Retry-After, until the job has ended or the claim can be repeated
LISTED = 50  # newest jobs on the list page

# Django compares parameters too, so JSON with a charset has to be offered as well.
CONTENT_TYPES = ["text/html", "application/json", "application/json; charset=utf-8"]


class HttpResponseSeeOther(HttpResponseRedirect):
    """303: go there with GET (RFC 9110, 15.4.4)."""

    status_code = 303


def job_view(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Find the job for the viewer; answer 404 if there is none, or if they may not see it."""

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
    """Exempt a view from `ATOMIC_REQUESTS` on each database, because a claim has its own."""
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
        """Answer; no cache may keep it, not even a 404: the job may exist a moment later."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except StoreUnavailable:  # also in a project that lacks the middleware
            return unavailable(request)
        except DATABASE_BUSY as error:  # reading the session takes the database too
            logger.warning("503 for %r, because the database is busy: %s", request.path, error)
            return unavailable(request)
        except Http404 as missing:
            not_found: Callable[..., HttpResponse] = get_resolver().resolve_error_handler(404)
            return not_found(request, exception=missing)


class DetailView(JobsView):
    """The waiting page, or the job's frame as JSON."""

    @job_view
    def get(self, request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
        """Show the job: 200. As JSON it is 202 until the job has ended.

        If another job runs in place of this one, a browser is redirected to that job's page.
        """
        page = partial(_waiting_page, request, job, viewer)
        if job.id != self.kwargs["job_id"]:  # an alias
            page = partial(_redirect_to_page, job)
        return _frame_or_page(request, job, 200 if job.is_ended else 202, page)


class ReadyView(JobsView):
    """The page calls back: the hook runs once, in the owner's own request."""

    @job_view
    def post(self, request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
        """Claim the job and send its owner on.

        A browser goes back to the waiting page if the viewer may not claim the job (JSON: 403),
        or if the job has not ended (JSON: 409). A failed hook is a 500, a claim to repeat a 503.
        """
        back = partial(_redirect_to_page, job)
        if not viewer.may_claim(job):
            return _frame_or_page(request, job, 403, back)
        if not job.is_ended:
            return _frame_or_page(request, job, 409, back)
        try:
            url = claim(job, request)
        except NotEnded:
            return _frame_or_page(request, job, 409, back)
        except StoreUnavailable as error:
            logger.info("job %s: the claim has to be repeated: %s", job.id, error)
            return _ask_to_repeat(request, job, viewer)
        except ClaimFailed:
            page = partial(_waiting_page, request, job, viewer, 500, stuck=True)
            return _frame_or_page(request, job, 500, page)
        return JsonResponse({"url": url}) if _wants_json(request) else HttpResponseSeeOther(url)


class CancelView(JobsView):
    """Ask the job to stop; if its task does not react, staff may have it killed."""

    @job_view
    def post(self, request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
        """Cancel now, or at the task's next progress call. A job that has ended stays as it is."""
        if "terminate" in request.POST and viewer.may_terminate(job):
            terminate(job)
        elif viewer.may_cancel(job):
            with suppress(JobEnded):
                job.cancel()
        return _frame_or_page(request, job, 200, partial(_redirect_to_page, job))


class ListView(JobsView):
    """My jobs, live."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """List the viewer's newest jobs, as a page or as JSON."""
        jobs = JobRepository().for_owners(viewer_of(request).owners, LISTED)
        shown = [frames.job_object(job) | {"claimed": bool(job.record.claimed_at)} for job in jobs]
        if _wants_json(request):
            return _json(frames.encode({"jobs": shown}))
        return render(request, "jobs/list.html", {"frames": shown, "socket_path": socket_path()})


def _frame_or_page(
    request: HttpRequest, job: Job, status: int, page: Callable[[], HttpResponse]
) -> HttpResponse:
    """Answer a script with the job's frame and this status, a browser with the page."""
    return _frame(job, status) if _wants_json(request) else page()


def _wants_json(request: HttpRequest) -> bool:
    return (request.get_preferred_type(CONTENT_TYPES) or "").startswith("application/json")


def _frame(job: Job, status: int) -> HttpResponse:
    response = _json(frames.frame(event_names.OF_STATE[job.state], job), status)
    if not job.is_ended:
        response["Retry-After"] = str(POLL_SECONDS)
    return response


def _json(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(text, content_type="application/json", status=status)


def _waiting_page(
    request: HttpRequest, job: Job, viewer: Viewer, status: int = 200, stuck: bool = False
) -> HttpResponse:
    context = waiting_context(request, job, viewer, stuck)
    return render(request, "jobs/waiting.html", context, status=status)


def _redirect_to_page(job: Job) -> HttpResponse:
    return HttpResponseSeeOther(job.get_absolute_url())


def _ask_to_repeat(request: HttpRequest, job: Job, viewer: Viewer) -> HttpResponse:
    """Answer that the claim cannot be decided now, and when to post it again."""
    page = partial(_waiting_page, request, job, viewer, 503)
    response = _frame_or_page(request, job, 503, page)
    response["Retry-After"] = str(POLL_SECONDS)
    return response
