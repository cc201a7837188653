"""The admin's two pages beside the archive: the jobs that are alive, with what can be done to them, and a summary."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views import View

from jobs.access import Viewer, viewer_of
from jobs.archive.durations import typical_durations
from jobs.archive.history import last_days
from jobs.core.app_label import permission
from jobs.exceptions import JobError, StoreUnavailable
from jobs.handlers import handler_paths
from jobs.job import Job
from jobs.logs import get_logger
from jobs.models import JobRecord
from jobs.repository import JobRepository
from jobs.rerun import reason_against_rerun, rerun
from jobs.tasks import terminate
from jobs.waiting.redirects import same_page

logger = get_logger(__name__)

LOOK = 2000  # newest jobs that are looked at; `sweep_jobs` takes off that list what has ended
SHOWN = 200  # of those that are alive
LIVE = 40  # of those, the newest: each subscribes when the page opens, and a socket takes 50 frames a second
DAYS = 14  # that the summary tells of
SHOWN_OF_TOKEN = 6  # characters of a visitor's token; enough to tell visitors apart


class AdminPage(View):
    """A page in the admin's layout, for staff with `jobs.view_job`."""

    model_admin: Any = None
    template_name = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Let in who may watch every job."""
        self.viewer = viewer_of(request)
        if not self.viewer.is_staff:
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show it."""
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
    """The jobs that are alive. They may be cancelled; a task that does not listen may have its process killed."""

    template_name = "jobs/admin/alive.html"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the newest jobs that are alive, with what may be done to each."""
        try:
            jobs = JobRepository().alive(SHOWN, scanned=LOOK)
        except StoreUnavailable as error:
            messages.error(request, str(error))
            jobs = []
        return {
            "title": _("Jobs that are alive"),
            "rows": [self._row(job, is_live=number < LIVE) for number, job in enumerate(jobs)],
            "live": LIVE,
            "looked_at": LOOK,
            "shown": SHOWN,
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Cancel or terminate one job, and come back."""
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


class SummaryPage(AdminPage):
    """How jobs ended in the last days, and how long those of each handler usually take."""

    template_name = "jobs/admin/summary.html"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return days with their bars, and handlers with their usual times."""
        days = list(last_days(DAYS))
        most = max(day.total for day in days) or 1
        usual_times = [(short_handler(name), typical_durations(name)) for name in handler_paths()]
        longest = max(
            (time for _name, times in usual_times for time in times[2:] if time), default=1
        )
        return {
            "title": _("Summary of jobs"),
            "days": [(day, list(_bars(list(day.counts.items()), most))) for day in days],
            "states": list(days[0].counts),
            "usual_times": [
                (name, times, _span(times[2:], longest))
                for name, times in usual_times
                if any(time is not None for time in times)
            ],
        }


class RerunPage(AdminPage):
    """Asks whether a job that has ended shall be run again, and starts it; needs `jobs.rerun_job` besides."""

    template_name = "jobs/admin/rerun.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Let in who may run jobs again; of those that are archived, whether Redis holds them or not."""
        if not request.user.has_perm(permission("rerun_job")):
            raise PermissionDenied
        self.row = get_object_or_404(JobRecord, pk=kwargs.pop("job_id"))
        self.job = Job(self.row.to_record())
        return super().dispatch(request, *args, **kwargs)

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the job, and what stands in the way."""
        return {
            "title": _("Run a job again"),
            "job": self.job,
            "owner": shown_owner(self.job.owner),
            "obstacle": reason_against_rerun(self.job),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Run it again, and go to the jobs that are alive; or say why not, and stay."""
        try:
            again = rerun(self.job, request)
        except JobError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(same_page(request))
        except Exception:
            logger.exception("job %s: could not be run again", self.job.id)
            messages.error(request, _("It could not be run again. The log says why."))
            return HttpResponseRedirect(same_page(request))
        logger.info("job %s: run again as %s by %s", self.job.id, again.id, request.user.pk)
        self.model_admin.log_change(request, self.row, f"Run again as {again.id}")
        messages.success(request, _("It runs again, as job %(id)s.") % {"id": again.id})
        return HttpResponseRedirect(reverse(admin_urlname(self.model_admin.opts, "alive")))  # type: ignore[arg-type]


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


def _bars(counts: list[tuple[Any, int]], most: int) -> Iterator[tuple[str, float, float]]:
    """Yield state, place and width of each part of a bar, in hundredths of the longest one."""
    place = 0.0
    for state, count in counts:
        width = 100 * count / most
        yield state.value, round(place, 2), round(width, 2)
        place += width


def _span(times: tuple[float | None, ...], longest: float) -> list[tuple[str, float, float]]:
    """Return name, place and width of the two parts of a handler's bar: where half have ended, then nine of ten."""
    half, most = (100 * (time or 0) / longest for time in times)
    return [("half", 0, round(half, 2)), ("most", round(half, 2), round(most - half, 2))]


def short_handler(handler_class: str) -> str:
    """Return the handler's app and class."""
    package, _dot, name = handler_class.rpartition(".handlers.")
    return f"{package.rpartition('.')[2]}.{name}" if package else handler_class


def shown_owner(owner: str) -> str:
    """Return an owner's name; of a visitor's token only the beginning."""
    return (
        owner[: len("visitor:") + SHOWN_OF_TOKEN] + "…" if owner.startswith("visitor:") else owner
    )
