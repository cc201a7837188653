"""The settings of the tests of faults, with the jobs of the chaos, and a database that is soon
found busy.
"""

from project.settings import CELERY_BROKER_TRANSPORT_OPTIONS as PATIENT_BROKER
from tests.system.projects.faultjobs.settings import *  # noqa: F403
from tests.system.projects.faultjobs.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.projects.chaosjobs"]
ROOT_URLCONF = "tests.system.projects.chaosjobs.urls"
VISIBILITY_TIMEOUT = 6  # seconds
CELERY_BROKER_TRANSPORT_OPTIONS = {**PATIENT_BROKER, "visibility_timeout": VISIBILITY_TIMEOUT}
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"]["timeout"] = 1.5  # seconds
