"""The README is true: its code works as printed in a new project, and its tables are those of the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.conf import JobsSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

# A checkout is not a wheel: its templates and static files lie elsewhere (and a test's host is `testserver`).
EDITABLE = f"""
TEMPLATES[0]["DIRS"] = [{str(ROOT / "frontend" / "templates")!r}]
STATICFILES_DIRS = [{str(ROOT / "frontend" / "static")!r}]
ALLOWED_HOSTS = ["testserver"]
"""

DRIVE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
from jobs.repository import JobRepository
from jobs.testing import run_at_once
client = Client()
with run_at_once():
    page = client.post("/export/", {"year": "2026"})
assert page.status_code == 302, page
waiting = client.get(page["Location"])
assert waiting.status_code == 200 and b"Writing the report" in waiting.content
job = JobRepository().find(page["Location"].split("/")[2])
assert (job.state, job.data["file"]) == ("complete", "report-2026.csv"), job.error
ready = client.post(page["Location"] + "ready/")
assert (ready.status_code, ready["Location"]) == (303, "/jobs/?file=report-2026.csv"), ready
assert b"report-2026.csv is ready." in client.get(ready["Location"]).content
"""


def printed_files() -> dict[str, str]:
    """Return the README's Python blocks by the file that their first line names."""
    blocks = re.findall(r"```python\n# (\S+\.py)[^\n]*\n(.*?)```", README, re.DOTALL)
    return dict(blocks)


@pytest.fixture
def project(tmp_path):
    """A project as `startproject` and `startapp` make it, with the README's files in it."""
    run = [sys.executable, "-m", "django"]
    subprocess.run([*run, "startproject", "mysite", "."], cwd=tmp_path, check=True)
    subprocess.run([*run, "startapp", "reports"], cwd=tmp_path, check=True)
    for name, text in printed_files().items():
        path = tmp_path / name
        path.write_text(path.read_text() + "\nimport os\n\n" + text + EDITABLE if "settings" in name else text)
    return tmp_path


def test_the_readmes_code_works_as_printed(project):
    assert len(printed_files()) == 8
    check = python(project, "manage.py", "check")
    assert check.returncode == 0 and "no issues" in check.stdout, check.stderr
    drive = python(project, "-c", DRIVE)
    assert drive.returncode == 0, drive.stderr


def python(project, *arguments):
    """Run Python in the project, on the embedded server."""
    environment = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": str(project)}
    environment |= {name: os.environ[name] for name in ("PATH", "REDIS_URL")}
    return subprocess.run([sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True)


def test_the_settings_table_is_the_codes():
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)` \|", README, re.MULTILINE))
    assert table == {name: repr(value).replace("'", '"') for name, value in vars_of(JobsSettings()).items()}


def vars_of(settings: JobsSettings) -> dict[str, object]:
    """Return the settings as a dict."""
    return {name: getattr(settings, name) for name in settings.__slots__}
