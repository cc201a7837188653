"""The import of a roster, from the upload to the classroom page or to the report."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from jobs.testing import cancel_at_start, run_immediately, run_job
from project.classrooms.models import RosterUpload, Student
from project.classrooms.roster import Roster
from project.classrooms.samples import new_students, roster_csv, with_mistakes
from project.classrooms.tasks import RosterError, import_roster, settle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def send(as_ada, classroom):
    """Return a function that imports a roster and returns the page after *Continue*."""

    def upload(rows):
        file = SimpleUploadedFile("roster.csv", roster_csv(rows).encode())
        with run_immediately():
            waiting_page = as_ada.post(
                reverse("classrooms:import", args=[classroom.pk]), {"roster": file}
            )["Location"]
        return as_ada.post(f"{waiting_page}ready/", follow=True)

    return upload


@pytest.fixture
def upload(classroom):
    """A file of three students that waits for the worker."""
    content = roster_csv(new_students(3)).encode()
    return RosterUpload.objects.create(classroom=classroom, name="roster.csv", content=content)


def run(upload, request):
    """Import a file that was uploaded before."""
    return run_job(import_roster, request, upload_id=upload.pk)


def test_a_roster_of_thousands_is_imported(send, classroom):
    page = send(new_students(3214))
    assert page.redirect_chain[-1][0] == classroom.get_absolute_url()
    assert "3,214 students imported." in page.content.decode()
    assert classroom.students.count() == 3214


def test_one_student_is_counted_in_the_singular(send):
    assert "1 student imported." in send(new_students(1)).content.decode()


def test_a_roster_with_bad_rows_enrols_nobody_and_is_reported_by_line(send, classroom):
    page = send(with_mistakes(new_students(400)))
    content = page.content.decode()
    assert page.redirect_chain[-1][0] == RosterUpload.objects.get().get_absolute_url()
    assert "Nothing was imported: there are 7 problems in roster.csv." in content
    assert (
        '<td class="number">20</td><td>“31/02/2014” is not a date like 2014-09-23.</td>' in content
    )
    assert not classroom.students.exists()


def test_the_waiting_page_names_the_file(as_ada, classroom):
    file = SimpleUploadedFile("year-4.csv", roster_csv(new_students(3)).encode())
    page = as_ada.post(
        reverse("classrooms:import", args=[classroom.pk]), {"roster": file}, follow=True
    )
    assert "Importing year-4.csv" in page.content.decode()


def test_a_file_is_imported_only_once(from_ada, upload, classroom):
    first, second = run(upload, from_ada), run(upload, from_ada)
    assert [job.data["imported"] for job in (first, second)] == [3, 3]
    assert classroom.students.count() == 3


def test_a_file_that_was_rejected_keeps_its_report(from_ada, upload):
    upload.reject([{"line": 2, "text": "The last name is missing."}])
    job = run(upload, from_ada)
    assert job.error == "Nothing was imported: there is 1 problem in roster.csv."
    assert RosterUpload.objects.get().problems[0]["line"] == 2


def test_a_cancelled_import_enrols_nobody(from_ada, as_ada, upload, classroom):
    with cancel_at_start():
        job = run(upload, from_ada)
    assert job.state == "cancelled"
    page = as_ada.post(f"{job.get_absolute_url()}ready/", follow=True)
    assert "The import was stopped. Nobody was enrolled." in page.content.decode()
    assert not classroom.students.exists()


def test_students_enrolled_during_the_check_undo_the_whole_import(upload, classroom, target):
    roster = Roster(upload.content)
    list(roster.check())
    Student.objects.create(
        classroom=target,
        first_name="A",
        last_name="B",
        born="2014-05-01",
        email=new_students(2)[1][3],
    )
    with pytest.raises(RosterError, match="somebody else enrolled some of these students"):
        settle(upload, roster)
    upload.refresh_from_db()
    assert not upload.is_settled
    assert not classroom.students.exists()
