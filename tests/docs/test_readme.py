"""The README is true and short: its code works as printed in a project with Celery."""

import re

import pytest

from .documents import ROOT, blocks, files
from .printed import Project

README = (ROOT / "README.md").read_text()

# What a project has before its author reads the README: a Celery app, and an app with a URL.
BEFORE = """
import os
INSTALLED_APPS += ["reports"]
CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 3}
"""
DRIVE = """
from jobs.testing import run_immediately
with run_immediately():
    page = client.post("/export/", {"year": "2026"})
assert page.status_code == 302, page
waiting = client.get(page["Location"])
assert waiting.status_code == 200 and b"Writing the report" in waiting.content
job = JobRepository().find(page["Location"].split("/")[2])
assert (job.state, job.data["file"]) == ("complete", "report-2026.csv"), job.error
ready = client.post(page["Location"] + "ready/")
assert (ready.status_code, ready["Location"]) == (303, "/reports/report-2026.csv"), ready
again = client.post(page["Location"] + "ready/")
assert ready["Location"] == again["Location"]
assert client.get("/jobs/").content.count(b"report-2026.csv is ready.") == 1
from jobs.doctor.application import find_route
assert "opens /ws/jobs/" in find_route()
"""


@pytest.fixture
def project(tmp_path):
    """Return a project with Celery and the README's files."""
    project = Project(tmp_path).add("mysite/settings.py", BEFORE)
    for block in files("docs/tutorial.md"):
        if block.file in ("mysite/celery.py", "mysite/__init__.py"):
            block.write(tmp_path)
    project.copy("README.md")
    return project.add(
        "mysite/urls.py",
        "from reports.views import export\nurlpatterns += [path('export/', export)]\n",
    )


def test_the_readmes_code_works_as_printed(project):
    assert "no issues" in project.python("manage.py", "check")
    project.drive(DRIVE)


def test_the_code_to_copy_is_short():
    lines = [
        line for block in files("README.md") for line in block.text.splitlines() if line.strip()
    ]
    assert len(files("README.md")) == 6
    assert len(lines) <= 55


def test_the_readme_opens_with_purpose_picture_and_one_command():
    what, picture, command, code = (
        README.index(mark) for mark in ("**I want**", "![", "```sh", "```python")
    )
    assert what < picture < command < code
    assert README[:command].count("\n") < 30
    assert blocks("README.md", "sh")[0].text.strip().endswith("manage.py demo")


def test_the_readmes_pictures_and_documents_exist():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []
