"""The handlers of the tests' jobs. Subclassing registers them."""

from django.contrib import messages
from django.contrib.auth.models import Group
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from jobs.handlers import JobHandler
from jobs.rerun import start_again


class PostHandler(JobHandler):
    """Sends parcels. Tests count its calls in the database."""

    header = _("Please wait")
    message = "Your parcel is on its way."

    def next_url(self, request):
        return self.job.data.get("next", "/parcels/")

    def failed_url(self, request):
        return "/lost-parcels/"

    def on_ready(self, request):
        Group.objects.create(name=f"delivered {Group.objects.count()}")
        messages.success(request, "Your parcel is here.")
        if self.job.data.get("fragile"):
            raise RuntimeError("the parcel broke, password hunter2")

    def on_failed(self, request):
        Group.objects.create(name=f"not delivered {Group.objects.count()}")

    def public_data(self):
        return {"parcel": self.job.data.get("parcel"), "state": "forged", "id": "forged"}

    class Express(JobHandler):
        """A handler inside a handler."""

        def header(self):
            return f"Express for {self.job.data['name']}"


class BrokenHandler(JobHandler):
    """Raises from everything that a page calls."""

    def header(self):
        raise RuntimeError("no header today")

    def public_data(self):
        return {"when": object()}

    def next_url(self, request):
        raise RuntimeError("no way out")


class AgainHandler(JobHandler):
    """Lets staff run its jobs again."""

    def rerun(self, request):
        if self.job.data.get("why") == "broken":
            raise RuntimeError("no such table: parcels")
        return start_again(import_string("tests.tasks.send_again"), self.job)
