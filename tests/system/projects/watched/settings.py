"""The runnable project with metrics (joined by PROMETHEUS_MULTIPROC_DIR) and traces."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *(app.replace("JobsConfig", "MeasuredJobsConfig") for app in INSTALLED_APPS),
    "tests.system.projects.watched",
]
ROOT_URLCONF = "tests.system.projects.watched.urls"
