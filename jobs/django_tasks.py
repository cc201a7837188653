"""Jobs whose work is a `django.tasks` task (Django 6.0 and newer), whatever its backend."""

from .queues.django_tasks import current_job, handled_by, start_job, submit_job

__all__ = ["current_job", "handled_by", "start_job", "submit_job"]
