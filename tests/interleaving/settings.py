"""Settings of the interleavings. Nothing ends by itself, because the clock is an actor."""

import os

from project.settings import *  # noqa: F403
from project.settings import DATABASES, JOBS

HOUR = 3600  # seconds; far more than all schedules together take

DEBUG = False  # Django would keep every statement
ALLOWED_HOSTS = ["localhost"]
JOBS = JOBS | {"READY_LEASE": HOUR, "LOST_AFTER": HOUR, "PROGRESS_PER_SECOND": 1e9}
DATABASES["default"]["NAME"] = os.environ["INTERLEAVING_DATABASE"]
DATABASES["default"]["OPTIONS"] = {
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; "
    "PRAGMA temp_store=MEMORY;",
    "timeout": 0,  # its holder stands still while another actor moves, so nobody can wait for it
}
