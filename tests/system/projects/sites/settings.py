"""What all the projects have in common: their apps, addresses and jobs."""

from tests.system.countjobs.settings import *  # noqa: F403
from tests.system.countjobs.settings import BASE_DIR, INSTALLED_APPS, TEMPLATES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.sites"]
TEMPLATES = [
    {**TEMPLATES[0], "DIRS": [BASE_DIR / "frontend" / "templates"]}
]  # without the layout of the example
ROOT_URLCONF = "tests.system.sites.urls"
