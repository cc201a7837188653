"""A project with its own app `jobs`, which has a model `JobRecord` and a route `jobs:list` too."""

from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS = [
    "tests.system.projects.sites.waitroom.WaitroomConfig" if app == "jobs.apps.JobsConfig" else app
    for app in INSTALLED_APPS
]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.projects.sites.jobs"]
ROOT_URLCONF = "tests.system.projects.sites.own_jobs_urls"
SILENCED_SYSTEM_CHECKS = ["templates.W003"]  # both apps have a library of tags called `jobs`
