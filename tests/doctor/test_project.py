"""The first steps: system checks, and the project's job tasks."""

import pytest
from django.core.checks import Error

from jobs.doctor import project
from jobs.doctor.project import check_settings, list_tasks
from jobs.doctor.step import StepFailed
from jobs.queues.celery import inspection


@pytest.mark.django_db
def test_a_failed_system_check_is_repeated(monkeypatch):
    monkeypatch.setattr(
        project, "run_checks", lambda: [Error("No layer.", hint="Set one.", id="jobs.E004")]
    )
    with pytest.raises(StepFailed, match=r"jobs\.E004: No layer\. Set one\."):
        check_settings()


@pytest.mark.django_db
def test_checks_of_other_apps_and_silenced_ones_are_ignored(monkeypatch, settings):
    settings.SILENCED_SYSTEM_CHECKS = ["jobs.E004"]
    monkeypatch.setattr(
        project, "run_checks", lambda: [Error("x", id="jobs.E004"), Error("y", id="shop.E001")]
    )
    assert check_settings() == "project.settings: no system check complains"


def test_a_project_without_a_job_task_learns_how_to_make_one(monkeypatch):
    monkeypatch.setattr(inspection, "job_tasks", dict)
    with pytest.raises(StepFailed, match="@job_task"):
        list_tasks()
