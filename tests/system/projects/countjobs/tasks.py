"""Tasks that go on until a test lets them end."""

import threading
from pathlib import Path

from jobs.tasks import job_task

PAUSE = (
    threading.Event()
)  # never set; libfaketime does not understand the way in which time.sleep sleeps
HANDLER = "tests.system.projects.countjobs.handlers.CountingHandler"


@job_task(handler_class=HANDLER)
def wait_for_file(self, path):
    """Work until a file is there, saying so now and then, and keep what it holds."""
    step = 0
    while not Path(path).exists():
        step += 1
        self.job.set_progress(step, None, "waiting for a file")
        PAUSE.wait(0.05)
    self.job.data["said"] = Path(path).read_text()
