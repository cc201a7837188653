"""The handler of all tasks here; it shows the data, so that a test can look at it from outside."""

from jobs.handlers import JobHandler

from .notes import note


class FaultHandler(JobHandler):
    """Writes down that its hook has run."""

    def public_data(self):
        return {"data": dict(self.job.data)}

    def on_ready(self, request):
        note(f"hook:{self.job.id}")
