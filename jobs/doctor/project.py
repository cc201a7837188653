"""Steps: the settings and the tasks of this process."""

import os

from django.conf import ENVIRONMENT_VARIABLE
from django.core.checks import CheckMessage, run_checks

from jobs.queues.celery import inspection

from .step import StepFailed


def check_settings() -> str:
    """Run our system checks, after all tasks have been imported."""
    inspection.import_tasks()
    found = [message for message in run_checks() if _is_ours(message)]
    texts = [f"{message.id}: {message.msg} {message.hint or ''}".strip() for message in found]
    if any(message.is_serious() for message in found):
        raise StepFailed(" ".join(texts), "See `manage.py check`.")
    module = os.environ.get(ENVIRONMENT_VARIABLE, "in code")
    return f"{module}: {'; '.join(texts) or 'no system check complains'}"


def list_tasks() -> str:
    """Name the job tasks of the project."""
    tasks = inspection.job_tasks()
    if not tasks:
        advice = "Decorate one with @job_task in the tasks.py of an installed app."
        raise StepFailed("The project has no job task.", advice)
    return f"{len(tasks)} job tasks: {', '.join(tasks)}"


def _is_ours(message: CheckMessage) -> bool:
    return str(message.id).startswith("jobs.") and not message.is_silenced()
