"""The runnable project with the limits that a test sets, and with jobs that can be counted.

JOBS_SETTINGS (JSON) holds what differs from the project's `JOBS`; LAYER_HOST (JSON) is where the
channel layer is, if not where the jobs are, and BROKER_OPTIONS (JSON) are further ones of the
broker's transport.
"""

import json
import os

from project.settings import *  # noqa: F403
from project.settings import CELERY_BROKER_TRANSPORT_OPTIONS, CHANNEL_LAYERS, INSTALLED_APPS, JOBS

JOBS = {**JOBS, **json.loads(os.environ.get("JOBS_SETTINGS", "{}"))}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.projects.countjobs"]
SLOW_DATABASE = float(os.environ.get("SLOW_DATABASE", "0"))  # seconds that each query takes longer

if host := json.loads(os.environ.get("LAYER_HOST", "{}")):
    CHANNEL_LAYERS = {"default": CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [host]}}}
CELERY_BROKER_TRANSPORT_OPTIONS = CELERY_BROKER_TRANSPORT_OPTIONS | json.loads(
    os.environ.get("BROKER_OPTIONS", "{}")
)
