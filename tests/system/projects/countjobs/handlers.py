"""Handlers that can be counted, fail, or die with their process."""

import os
from pathlib import Path

from django.contrib import messages
from django.contrib.auth.models import Group

from jobs.handlers import JobHandler


class CountingHandler(JobHandler):
    """Leaves one row for each run of its hook, named after the job and the number of the run."""

    header = "Counting"

    def public_data(self):
        """Show what the data says is to be shown."""
        return self.job.data.get("public", {})

    def next_url(self, request):
        """Return where the data says, or a place of our own."""
        if isinstance(self.job.data.get("next"), dict):
            raise RuntimeError("no place to go to")
        return self.job.data.get("next", f"/done/{self.job.id}/")

    def on_ready(self, request):
        """Count, and say so; then fail or die as the data asks for."""
        self.count("ready")
        messages.success(request, f"ready: {self.job.id}")
        if (place := self.job.data.get("dies_once_at")) and not Path(place).exists():
            Path(place).touch()
            os._exit(9)  # as if the machine had lost its power
        if (place := self.job.data.get("raises_until")) and not Path(place).exists():
            raise RuntimeError("the hook failed with password hunter2")

    def on_failed(self, request):
        """Count the other ends."""
        self.count(self.job.state)

    def count(self, what):
        """Leave a row."""
        runs = Group.objects.filter(name__startswith=f"{self.job.id} ").count()
        Group.objects.create(name=f"{self.job.id} {what} {runs + 1}")
