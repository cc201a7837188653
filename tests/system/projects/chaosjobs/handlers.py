"""The handler of all tasks here."""

import time
from uuid import uuid4

from django.contrib.auth.models import Group

from jobs.handlers import JobHandler


class ChaosHandler(JobHandler):
    """Leaves a row and a place of its own for each run of a hook, so that a second one is seen."""

    def on_ready(self, request):
        self.leave_row("on_ready")

    def on_failed(self, request):
        self.leave_row("on_failed")

    def next_url(self, request):
        return f"/done/{self.job.id}/{uuid4()}/"

    def failed_url(self, request):
        return f"/failed/{self.job.id}/{uuid4()}/"

    def leave_row(self, hook):
        """Write which hook ran, for which state and when; then go on as long as the job asks."""
        token = uuid4().hex[:8]
        Group.objects.create(
            name=f"{self.job.id} {hook} {self.job.state} {time.time():.6f} {token}"
        )
        time.sleep(self.job.data["hook_seconds"])
