"""The runnable project's settings, with metrics (PROMETHEUS_MULTIPROC_DIR joins those of its processes) and traces."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *(app.replace("JobsConfig", "MeasuredJobsConfig") for app in INSTALLED_APPS),
    "tests.system.projects.watched",
]
ROOT_URLCONF = "tests.system.projects.watched.urls"
