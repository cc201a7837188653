"""A task that hears nothing."""

import time

from jobs.tasks import job_task


@job_task(handler_class="jobs.handlers.JobHandler")
def be_deaf(self):
    """Report nothing for minutes, so that a cancel takes no effect."""
    time.sleep(300)
