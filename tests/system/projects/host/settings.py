"""The runnable project's settings, without its layout around `jobs`, with other addresses."""

from project.settings import *  # noqa: F403
from project.settings import BASE_DIR, INSTALLED_APPS, TEMPLATES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.projects.host"]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [BASE_DIR / "frontend" / "templates"]}]
ROOT_URLCONF = "tests.system.projects.host.urls"
