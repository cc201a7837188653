"""The runnable project with limits that a test sets, and tasks that go wrong in every way.

JOBS_SETTINGS (JSON) holds what differs from the project's `JOBS`; tasks write notes to FAULTS_DIR.
"""

import json
import os
from pathlib import Path

from project.settings import *  # noqa: F403
from project.settings import CELERY_BROKER_TRANSPORT_OPTIONS, INSTALLED_APPS, JOBS

FAULTS_DIR = Path(os.environ["FAULTS_DIR"])
JOBS = {**JOBS, **json.loads(os.environ.get("JOBS_SETTINGS", "{}"))}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.projects.faultjobs"]
ROOT_URLCONF = "tests.system.projects.faultjobs.urls"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    **CELERY_BROKER_TRANSPORT_OPTIONS,
    "socket_timeout": 2,  # seconds that a broker which hangs is waited for, three times
    "visibility_timeout": 2,  # seconds until an unacknowledged message is delivered again
}
if RESULTS := os.environ.get("RESULTS"):  # which a chord needs
    CELERY_RESULT_BACKEND = RESULTS
