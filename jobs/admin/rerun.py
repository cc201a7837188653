"""The admin's page that asks whether to run an ended job again."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.core.app_label import permission
from jobs.exceptions import JobError
from jobs.job import Job
from jobs.logs import get_logger
from jobs.models import JobRecord
from jobs.rerun import reason_against_rerun, rerun
from jobs.waiting.redirects import same_page

from .display import shown_owner
from .pages import AdminPage

logger = get_logger(__name__)


class RerunPage(AdminPage):
    """Asks whether to run an ended job again, and starts it. Also needs `jobs.rerun_job`."""

    template_name = "jobs/admin/rerun.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Let in staff who may run jobs again.

        The job must be archived. Whether Redis still holds it does not matter.
        """
        if not request.user.has_perm(permission("rerun_job")):
            raise PermissionDenied
        self.row = get_object_or_404(JobRecord, pk=kwargs.pop("job_id"))
        self.job = Job(self.row.to_record())
        return super().dispatch(request, *args, **kwargs)

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the job, and why it cannot be run again."""
        return {
            "title": _("Run a job again"),
            "job": self.job,
            "owner": shown_owner(self.job.owner),
            "obstacle": reason_against_rerun(self.job),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Run it again and show the living jobs, or stay and say why not."""
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
