"""The admin's page of living jobs, and the base of all our pages."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views import View

from jobs.access import Viewer, viewer_of
from jobs.exceptions import JobError, StoreUnavailable
from jobs.job import Job
from jobs.logs import get_logger
from jobs.repository import JobRepository
from jobs.tasks import terminate
from jobs.waiting.redirects import same_page

from .display import short_handler, shown_owner

logger = get_logger(__name__)

MAX_SCANNED = 2000  # newest jobs; `sweep_jobs` takes ended jobs off their list
MAX_SHOWN = 200  # living jobs
MAX_LIVE = 40  # newest of them: each subscribes at once, and a socket takes 50 frames a second


class AdminPage(View):
    """A page in the admin's layout, for staff with `jobs.view_job`."""

    model_admin: Any = None
    template_name = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Let in staff who may watch every job."""
        self.viewer = viewer_of(request)
        if not self.viewer.is_staff:
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show the page."""
        site = self.model_admin.admin_site.each_context(request)
        return TemplateResponse(
            request,
            self.template_name,
            {**site, "opts": self.model_admin.opts, **self.context(request)},
        )

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the template needs."""
        raise NotImplementedError


class AlivePage(AdminPage):
    """The living jobs: each may be cancelled, and then its process may be killed."""

    template_name = "jobs/admin/alive.html"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the newest living jobs, and what may be done to each."""
        try:
            jobs = JobRepository().alive(MAX_SHOWN, scanned=MAX_SCANNED)
        except StoreUnavailable as error:
            messages.error(request, str(error))
            jobs = []
        return {
            "title": _("Jobs that are alive"),
            "rows": [self._row(job, is_live=number < MAX_LIVE) for number, job in enumerate(jobs)],
            "live": MAX_LIVE,
            "looked_at": MAX_SCANNED,
            "shown": MAX_SHOWN,
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Cancel or terminate one job, and show the page again."""
        action, job_id = request.POST.get("action", ""), request.POST.get("job", "")
        try:
            text = self._take(action, job_id)
        except JobError as error:
            logger.info("job %s: %s by %s was refused: %s", job_id, action, request.user.pk, error)
            messages.error(request, str(error))
        except Exception:
            logger.exception("job %s: could not be stopped", job_id)
            messages.error(request, _("The workers could not be told. The log says why."))
        else:
            logger.info("job %s: %s by %s", job_id, action, request.user.pk)
            messages.success(request, text)
        return HttpResponseRedirect(same_page(request))

    def _take(self, action: str, job_id: str) -> str:
        if action not in ACTIONS:
            names = {"action": action, "known": ", ".join(ACTIONS)}
            raise JobError(_("There is no action %(action)r; there are %(known)s.") % names)
        return ACTIONS[action](self.viewer, self.viewer.find(job_id))

    def _row(self, job: Job, is_live: bool) -> dict[str, Any]:
        return {
            "job": job,
            "is_live": is_live,
            "handler": short_handler(job.handler_class),
            "owner": shown_owner(job.owner),
            "may_cancel": not job.is_cancel_asked,
            "may_terminate": self.viewer.may_terminate(job),
        }


def _cancel(viewer: Viewer, job: Job) -> str:
    job.cancel()
    if job.is_ended:
        return _("Job %(id)s is cancelled.") % {"id": job.id}
    return _("Job %(id)s will stop when its task next tells its progress.") % {"id": job.id}


def _terminate(viewer: Viewer, job: Job) -> str:
    if not viewer.may_terminate(job):
        raise JobError(_("Job %(id)s has ended, or was not asked to stop first.") % {"id": job.id})
    terminate(job)
    return _("The workers were told to kill the process of job %(id)s.") % {"id": job.id}


ACTIONS = {"cancel": _cancel, "terminate": _terminate}
