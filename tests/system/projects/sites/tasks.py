"""The task of all the projects."""

import time
from pathlib import Path

from jobs.exceptions import JobError
from jobs.tasks import job_task

HANDLER = "tests.system.projects.countjobs.handlers.CountingHandler"


@job_task(handler_class=HANDLER)
def work(self, outcome, gate):
    """Report a step, wait until the gate is open, and end as the form asked."""
    self.job.set_progress(1, 2, "half of it")
    while not Path(gate).exists():
        if outcome == "cancelled":
            self.job.set_progress(1, 2, "until somebody cancels")
        time.sleep(0.05)
    if outcome == "failed":
        raise JobError("The parcel is too heavy.")
    self.job.data["said"] = Path(gate).read_text()
