"""A project with an app of its own called `jobs`, made as docs/an-app-called-jobs.md says."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.template import Context, Template

from jobs.core.app_label import app_label, permission, url_of
from tests.docs.documents import ROOT, files

BASE = """
from project.settings import *
from project.settings import INSTALLED_APPS as ALL
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
OURS = ("jobs.apps.JobsConfig", "project.classrooms", "project.demo")
OTHERS = [app for app in ALL if app not in OURS]
MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith("project.")]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [BASE_DIR / "frontend" / "templates"]}]
ROOT_URLCONF = "mysite.urls"
"""
PEOPLE = """
from django.contrib.auth.models import Permission, User
from django.test import Client
from jobs.repository import JobRepository
job = JobRepository().create(owner="visitor:ann")
for label in ("jobs", "waitroom"):
    staff = User.objects.create(username=label, is_staff=True)
    granted = Permission.objects.filter(content_type__app_label=label, codename="view_job")
    staff.user_permissions.set(granted)
    browser = Client()
    browser.force_login(staff)
    page = browser.get(f"/waitroom/{job.id}/", HTTP_HOST="localhost").status_code
    alive = browser.get("/admin/waitroom/jobrecord/alive/", HTTP_HOST="localhost")
    print(label, page, alive.status_code)
"""
NAMES = """
from django.apps import apps
from django.urls import resolve, reverse
from jobs.models import JobRecord
from jobs.repository import JobRepository
theirs, ours = apps.get_model("jobs", "JobRecord"), JobRecord._meta
print(theirs.__module__, ours.label, ours.db_table)
print(reverse("jobs:list"), reverse("waitroom:list"), resolve("/waitroom/parcel/").view_name)
print(JobRepository().create().get_absolute_url().rpartition("/waitroom/")[1])
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a function that runs a command in the migrated project that the page describes."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(
        ROOT / "tests" / "system" / "projects" / "sites" / "jobs", folder / "mysite" / "jobs"
    )
    (folder / "mysite" / "__init__.py").touch()
    (folder / "mysite" / "settings.py").write_text(BASE)
    for block in files("docs/an-app-called-jobs.md"):
        block._replace(text=block.text.replace("    ...,", "    *OTHERS,")).write(folder)
    for file in (folder / "mysite").rglob("*.py"):
        file.write_text(
            file.read_text()
            .replace("tests.system.projects.sites", "mysite")
            .replace("admin.site.urls", "[]")
        )
    urls = folder / "mysite" / "urls.py"
    admin = (
        'from django.contrib import admin\n\nurlpatterns += [path("admin/", admin.site.urls)]\n'
    )
    urls.write_text(urls.read_text() + admin)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }

    def manage(*arguments):
        command = [sys.executable, "-m", "django", *arguments]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    manage("migrate", "--verbosity", "0")
    return manage


def shell(site, code):
    """Run code in the project, and return the words that it prints, line by line."""
    return [line.split() for line in site("shell", "--verbosity", "0", "-c", code).splitlines()]


def test_f51_migrations_are_complete_under_another_label(site):
    assert "No changes detected" in site("makemigrations", "--check", "--dry-run")
    assert "[X] 0003_exact_ids" in site("showmigrations", "waitroom")


def test_f51_models_and_routes_of_both_apps_have_their_names(site):
    assert shell(site, NAMES) == [
        ["mysite.jobs.models", "waitroom.JobRecord", "waitroom_jobrecord"],
        ["/jobs/", "/waitroom/", "waitroom:detail"],
        ["/waitroom/"],
    ]


def test_f51_a_permission_of_the_other_app_opens_no_job(site):
    assert shell(site, PEOPLE) == [["jobs", "404", "403"], ["waitroom", "200", "200"]]


def test_the_page_names_every_template_that_could_be_hidden():
    templates = ROOT / "frontend" / "templates" / "jobs"
    text = (ROOT / "docs" / "an-app-called-jobs.md").read_text()
    told = text.partition("These names are taken:")[2].partition("and the folder")[0]
    assert set(re.findall(r"`(\w+)`", told)) == {file.stem for file in templates.glob("*.html")}


def test_names_have_the_label_of_the_app():
    assert (app_label(), permission("view_job")) == ("jobs", "jobs.view_job")
    assert url_of("detail", "parcel-1") == "/jobs/parcel-1/"


def test_f51_a_thread_knows_the_prefix_of_the_project_too(settings):
    settings.FORCE_SCRIPT_NAME = "/intern"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(url_of, "list").result() == "/intern/jobs/"


@pytest.mark.parametrize("library", ["jobs", "waitroom"])
def test_a_template_finds_the_routes_by_either_library(library):
    template = Template(
        '{% load LIBRARY %}{% job_url "ready" "parcel-1" %}'.replace("LIBRARY", library)
    )
    assert template.render(Context()) == "/jobs/parcel-1/ready/"
