"""Fixtures of the example's tests: people and classrooms."""

import pytest

from project.classrooms.models import Classroom, School, Student


@pytest.fixture(autouse=True)
def no_pace(settings):
    """Run the tasks at full speed."""
    settings.DEMO_PACE = 0


@pytest.fixture
def ada(db, django_user_model):
    """A teacher."""
    return django_user_model.objects.create_user("ada", password="waitroom")


@pytest.fixture
def grace(db, django_user_model):
    """Another teacher."""
    return django_user_model.objects.create_user("grace", password="waitroom")


@pytest.fixture
def school(db):
    """A school."""
    return School.objects.create(name="Hawthorn Primary School", town="Bristol")


@pytest.fixture
def classroom(school, ada):
    """Ada's classroom."""
    return Classroom.objects.create(school=school, name="Kestrel Class", teacher=ada)


@pytest.fixture
def target(school, grace):
    """Grace's classroom in the same school."""
    return Classroom.objects.create(school=school, name="Otter Class", teacher=grace)


@pytest.fixture
def students(classroom):
    """Two students who sit in Ada's classroom."""
    return [
        Student.objects.create(
            classroom=classroom, first_name=name, last_name="Silva", born="2014-05-01", email=email
        )
        for name, email in [("Mei", "mei@example.org"), ("Noah", "noah@example.org")]
    ]


@pytest.fixture
def as_ada(client, ada):
    """A browser in which Ada is logged in."""
    client.force_login(ada)
    return client


@pytest.fixture
def as_grace(client, grace):
    """A browser in which Grace is logged in."""
    client.force_login(grace)
    return client


@pytest.fixture
def from_ada(rf, ada):
    """A request that Ada makes."""
    request = rf.post("/")
    request.user = ada
    return request
