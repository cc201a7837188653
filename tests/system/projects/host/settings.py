"""The runnable project's settings, save its layout around the pages of `jobs`; and with addresses of its own."""

from project.settings import *  # noqa: F403
from project.settings import BASE_DIR, INSTALLED_APPS, TEMPLATES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.projects.host"]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [BASE_DIR / "frontend" / "templates"]}]
ROOT_URLCONF = "tests.system.projects.host.urls"
