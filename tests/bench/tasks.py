"""Two tasks that do nothing: one that somebody waits for, and a plain one."""

from celery import shared_task

from jobs.tasks import job_task


@job_task(handler_class="jobs.handlers.JobHandler")
def nothing_to_wait_for(self):
    """End at once, as a job."""


@shared_task(ignore_result=False)
def nothing():
    """End at once."""
