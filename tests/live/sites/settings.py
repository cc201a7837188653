"""What all the projects have in common: their apps, addresses and jobs."""

from tests.live.countjobs.settings import *  # noqa: F403
from tests.live.countjobs.settings import BASE_DIR, INSTALLED_APPS, TEMPLATES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.live.sites"]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [BASE_DIR / "frontend" / "templates"]}]  # without the layout of the example
ROOT_URLCONF = "tests.live.sites.urls"
