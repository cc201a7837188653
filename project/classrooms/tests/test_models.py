"""What is kept of an uploaded roster."""

import pytest

from project.classrooms.models import RosterUpload, Student

PROBLEM = {"line": 7, "text": "The last name is missing."}


@pytest.fixture
def upload(classroom):
    """A file that waits for the worker."""
    return RosterUpload.objects.create(
        classroom=classroom, name="roster.csv", content=b"first_name"
    )


def test_an_accepted_roster_enrols_its_students_and_drops_the_file(upload, classroom):
    upload.accept(
        [Student(first_name="Mei", last_name="Silva", born="2014-05-01", email="mei@example.org")]
    )
    upload.refresh_from_db()
    assert upload.is_settled
    assert upload.imported == 1
    assert upload.content == b""
    assert classroom.students.get().name == "Mei Silva"


def test_a_rejected_roster_keeps_a_hundred_problems_and_counts_the_rest(upload):
    upload.reject([PROBLEM] * 130)
    upload.refresh_from_db()
    assert upload.is_settled
    assert upload.imported is None
    assert upload.content == b""
    assert len(upload.problems) == 100
    assert upload.unreported_count == 30


def test_a_new_upload_is_not_settled(upload):
    assert not upload.is_settled


def test_the_other_classrooms_of_the_school_are_its_siblings(classroom, target):
    assert list(classroom.siblings()) == [target]
