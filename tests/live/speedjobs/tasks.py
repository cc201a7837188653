"""A task that measures what it costs it to report."""

import time

from jobs.tasks import job_task

WORK = 4_000  # additions in one step: some 0.2 ms


def seconds_of(calls, report):
    """Take so many steps, report each, and return what this process needed, whatever else the machine does."""
    before = time.process_time()
    for n in range(1, calls + 1):
        sum(range(WORK))
        report(n)
    return time.process_time() - before


@job_task(handler_class="jobs.handlers.JobHandler")
def sprint(self, calls):
    """Do the same work in silence and with a report of each step; leave both times in the data."""
    self.job.data["silent"] = min(seconds_of(calls, lambda n: None) for _ in range(2))
    began = time.monotonic()
    self.job.data["reporting"] = seconds_of(calls, lambda n: self.job.set_progress(n, calls, f"step {n}"))
    self.job.data["lasted"] = time.monotonic() - began
