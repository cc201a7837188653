"""The sample schools and users."""

import io

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

from project.classrooms.models import Classroom, School, Student

pytestmark = pytest.mark.django_db


def fill():
    """Run the command and return what it says."""
    out = io.StringIO()
    call_command("sample_data", stdout=out)
    return out.getvalue()


def test_sample_data_fills_two_schools():
    assert "Added 2 schools, 8 classrooms and 300 students." in fill()
    assert all(classroom.students.exists() for classroom in Classroom.objects.all())


def test_a_second_run_adds_nothing():
    fill()
    assert "nothing was added" in fill()
    assert School.objects.count() == 2
    assert Student.objects.count() == 300


def test_the_teachers_and_the_head_can_log_in():
    fill()
    users = [authenticate(username=name, password="waitroom") for name in ("ada", "grace", "head")]
    assert [user.is_superuser for user in users] == [False, False, True]
    assert users[0].classrooms.filter(school__name="Hawthorn Primary School").count() > 1


def test_a_user_who_exists_keeps_the_password(django_user_model):
    django_user_model.objects.create_user("ada", password="her own")
    fill()
    assert authenticate(username="ada", password="her own").classrooms.exists()
