"""A task that measures what it costs it to report."""

import time

from jobs.tasks import job_task

WORK = 4_000  # additions in one step: some 0.2 ms


@job_task(handler_class="jobs.handlers.JobHandler")
def sprint(self, calls):
    """Work and report each step; store the time that the steps took, and the time of everything.

    Both are processor time, taken together: whatever else the machine does slows both down.
    """
    began, before, working = time.monotonic(), time.process_time(), 0.0
    for n in range(1, calls + 1):
        step = time.thread_time()
        sum(range(WORK))
        working += time.thread_time() - step
        self.job.set_progress(n, calls, f"step {n}")
    whole = time.process_time() - before
    self.job.data.update(working=working, whole=whole, lasted=time.monotonic() - began)
