"""What all the projects have in common: their apps, addresses and jobs."""

from tests.system.projects.countjobs.settings import *  # noqa: F403
from tests.system.projects.countjobs.settings import BASE_DIR, INSTALLED_APPS, TEMPLATES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.projects.sites"]
TEMPLATES = [
    {**TEMPLATES[0], "DIRS": [BASE_DIR / "frontend" / "templates"]}
]  # without the layout of the example
ROOT_URLCONF = "tests.system.projects.sites.urls"
