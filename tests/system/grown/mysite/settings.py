"""The example's settings, with docs/grown/settings.py on top, except for ports and paths.

JOBS_SETTINGS (JSON) holds the limits that a test sets.
"""

import json
import os
from pathlib import Path

from tests.system.projects.countjobs.settings import *  # noqa: F403

exec(Path(os.environ["PRINTED_SETTINGS"]).read_text())  # noqa: S102 - our own file

ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
JOBS = {**JOBS, **json.loads(os.environ.get("JOBS_SETTINGS", "{}"))}  # noqa: F405 - printed
SECURE_SSL_REDIRECT = False  # nginx does it
