"""The runnable project with the limits that a test sets, and with jobs that can be counted.

JOBS_SETTINGS (JSON) holds what differs from the project's `JOBS`.
"""

import json
import os

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS, JOBS

JOBS = {**JOBS, **json.loads(os.environ.get("JOBS_SETTINGS", "{}"))}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.live.countjobs"]
SLOW_DATABASE = float(os.environ.get("SLOW_DATABASE", "0"))  # seconds that each query takes longer
