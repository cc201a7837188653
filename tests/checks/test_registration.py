"""Django runs every check of the package."""

import ast
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.checks.registry import registry

from jobs.checks import registration

from .messages import ids, of_jobs

FOLDER = Path(registration.__file__).parent


def test_every_check_in_the_folder_is_registered():
    written = {
        (f"jobs.checks.{file.stem}", node.name)
        for file in FOLDER.glob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    }
    registered = registry.registered_checks | registry.deployment_checks
    assert len(written) == 15
    assert written <= {(check.__module__, check.__name__) for check in registered}


@pytest.mark.django_db
def test_django_runs_our_checks(settings):
    settings.JOBS = {"TLL": 5}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    assert sorted(ids(of_jobs(run_checks()))) == ["jobs.E001", "jobs.W001"]


@pytest.mark.django_db
def test_no_check_complains_about_the_demo_project():
    assert of_jobs(run_checks()) == []


@pytest.mark.django_db  # Django's own check of JSON fields queries the database
def test_only_check_deploy_looks_for_insecure_cookies(settings):
    settings.DEBUG, settings.SESSION_COOKIE_SECURE = False, False
    assert "jobs.W010" not in ids(run_checks())
    assert "jobs.W010" in ids(run_checks(include_deployment_checks=True))
