"""What the example's waiting pages say, and what happens when a job ends."""

from django.contrib import messages
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jobs.handlers import JobHandler
from jobs.rerun import start_again

from . import tasks
from .models import RosterUpload


class TransferHandler(JobHandler):
    """Leads back to the classroom, which is empty then."""

    header = _("Moving the students")
    message = _("You can leave this page; we will tell you.")

    def next_url(self, request):
        """Return the classroom's page."""
        return reverse("classrooms:detail", args=[self.job.data["classroom_id"]])

    def failed_url(self, request):
        """Return the same page, because it shows who was moved and who was not."""
        return self.next_url(request)

    def retry_url(self, request):
        """Return the form that starts it, because it can move those who are left."""
        return self.next_url(request)

    def rerun(self, request):
        """Let the office move those who are left, from the admin."""
        return start_again(tasks.transfer_students, self.job)

    def on_ready(self, request):
        """Say how it was."""
        messages.success(request, _("It was so nice."))

    def on_failed(self, request):
        """Say why some students were not moved."""
        messages.error(request, self.job.error or _("The transfer was stopped."))


class DrillHandler(JobHandler):
    """One of the situations that a school would rather not wait for."""

    header = _("Fire drill")
    message = _("This job shows what a waiting page looks like when things are not as usual.")

    def next_url(self, request):
        """Return the page of all drills."""
        return reverse("classrooms:drills")

    failed_url = next_url
    retry_url = next_url


class ImportHandler(JobHandler):
    """Leads to the classroom with its new students, or to the report about the file."""

    message = _("Every line is checked first. Nobody is enrolled unless all lines are in order.")

    def header(self):
        """Name the file, so that two imports can be told apart."""
        return gettext("Importing %(file)s") % {"file": self.job.data["file"]}

    def next_url(self, request):
        """Return the classroom's page."""
        return self._upload().classroom.get_absolute_url()

    def failed_url(self, request):
        """Return the report, line by line."""
        return self._upload().get_absolute_url()

    def on_ready(self, request):
        """Say how many students there are now."""
        count = self.job.data["imported"]
        text = ngettext("%(count)s student imported.", "%(count)s students imported.", count)
        messages.success(request, text % {"count": number_format(count, force_grouping=True)})

    def on_failed(self, request):
        """Say why nobody was enrolled."""
        messages.error(
            request, self.job.error or _("The import was stopped. Nobody was enrolled.")
        )

    def _upload(self):
        return (
            RosterUpload.objects.select_related("classroom")
            .defer("content")
            .get(pk=self.job.data["upload_id"])
        )
