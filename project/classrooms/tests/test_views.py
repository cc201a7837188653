"""The teachers' pages, and who may see them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from project.classrooms.models import Classroom, RosterUpload, School, Student
from project.classrooms.roster import Roster

PAGES = ["detail", "import", "sample", "sample_with_mistakes"]


def page(name, classroom):
    """Return the address of a classroom's page."""
    return reverse(f"classrooms:{name}", args=[classroom.pk])


def test_the_list_shows_my_classrooms_and_links_to_watch_others(
    as_ada, classroom, target, students
):
    answer = as_ada.get("/")
    content = answer.content.decode()
    assert "Kestrel Class" in content and page("detail", classroom) in content
    assert "2 students" in content
    assert page("watch", target) in content
    assert f'"{page("detail", target)}"' not in content


def test_classrooms_of_other_schools_cannot_be_watched(as_ada, classroom, grace):
    elsewhere = School.objects.create(name="Lindenhof School", town="Leeds")
    abroad = Classroom.objects.create(school=elsewhere, name="4A", teacher=grace)
    assert page("watch", abroad) not in as_ada.get("/").content.decode()
    assert as_ada.get(page("watch", abroad)).status_code == 404
    assert as_ada.get(page("watch", classroom)).status_code == 200


def test_the_classroom_page_shows_its_students(as_ada, classroom, students):
    content = as_ada.get(page("detail", classroom)).content.decode()
    assert "Mei Silva" in content
    assert "1 May 2014" in content


def test_a_large_classroom_is_shown_page_by_page(as_ada, classroom):
    rows = [
        Student(first_name=f"No{n:03}", last_name="S", born="2014-05-01", email=f"{n}@example.org")
        for n in range(120)
    ]
    for student in rows:
        student.classroom = classroom
    Student.objects.bulk_create(rows)
    last = as_ada.get(page("detail", classroom), {"page": 3})
    assert [student.first_name for student in last.context["students"]][0] == "No100"
    assert "Page 3 of 3" in last.content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_another_teachers_classroom_does_not_exist(as_grace, classroom, name):
    assert as_grace.get(page(name, classroom)).status_code == 404


@pytest.mark.parametrize("name", ["transfer", "import"])
def test_another_teacher_starts_no_job_there(as_grace, classroom, target, name):
    roster = SimpleUploadedFile("roster.csv", b"first_name")
    answer = as_grace.post(page(name, classroom), {"target": target.pk, "roster": roster})
    assert answer.status_code == 404
    assert not RosterUpload.objects.exists()


@pytest.mark.parametrize("name", [*PAGES, "transfer"])
def test_a_visitor_is_sent_to_log_in(client, classroom, name):
    method = client.post if name == "transfer" else client.get
    answer = method(page(name, classroom))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


def test_a_transfer_is_posted(as_ada, classroom):
    assert as_ada.get(page("transfer", classroom)).status_code == 405


def test_students_stay_in_their_school(as_ada, ada, classroom, students):
    elsewhere = School.objects.create(name="Lindenhof School", town="Leeds")
    abroad = Classroom.objects.create(school=elsewhere, name="4A", teacher=ada)
    for target_id in (abroad.pk, classroom.pk, "", "nonsense"):
        answer = as_ada.post(page("transfer", classroom), {"target": target_id})
        assert answer.status_code == 200
        assert answer.context["form"].errors["target"]


def test_an_empty_classroom_has_nobody_to_move(as_ada, classroom, target):
    answer = as_ada.post(page("transfer", classroom), {"target": target.pk})
    assert "There are no students to move in this classroom." in answer.content.decode()


def test_a_roster_must_be_chosen(as_ada, classroom):
    assert "Choose a file first." in as_ada.post(page("import", classroom)).content.decode()


def test_an_empty_roster_is_refused_at_once(as_ada, classroom):
    answer = as_ada.post(
        page("import", classroom), {"roster": SimpleUploadedFile("roster.csv", b"")}
    )
    assert "The file is empty." in answer.content.decode()


def test_a_roster_above_5_mb_is_refused_at_once(as_ada, classroom):
    roster = SimpleUploadedFile("roster.csv", b"x" * (5 * 1024 * 1024 + 1))
    answer = as_ada.post(page("import", classroom), {"roster": roster})
    assert "The file is larger than 5 MB." in answer.content.decode()
    assert not RosterUpload.objects.exists()


def test_the_sample_file_holds_3000_students_who_are_not_enrolled_yet(as_ada, classroom, students):
    answer = as_ada.get(page("sample", classroom))
    assert answer["Content-Disposition"] == 'attachment; filename="roster.csv"'
    roster = Roster(answer.content)
    list(roster.check())
    assert (len(roster.students), roster.problems) == (3000, [])


def test_only_the_teacher_sees_the_report(as_grace, classroom):
    upload = RosterUpload.objects.create(classroom=classroom, name="roster.csv", content=b"")
    assert as_grace.get(upload.get_absolute_url()).status_code == 404


def test_the_report_lists_a_hundred_problems_and_counts_the_rest(as_ada, classroom):
    upload = RosterUpload.objects.create(classroom=classroom, name="roster.csv", content=b"")
    upload.reject([{"line": 7, "text": "The <last> name is missing."}] * 130)
    content = as_ada.get(upload.get_absolute_url()).content.decode()
    assert content.count("The &lt;last&gt; name is missing.") == 100
    assert "And 30 more." in content


def test_the_dashboard_loads_scripts_from_our_static_files_only(as_ada):
    content = as_ada.get(reverse("classrooms:dashboard")).content.decode()
    assert "<job-list" in content
    assert content.count("<script") == content.count('<script type="module" src="/static/')


@pytest.mark.parametrize(("language", "words"), [("de", "Meine Klassen"), ("ar", "فصولي")])
def test_the_example_speaks_the_languages_of_the_app(as_ada, classroom, language, words):
    content = as_ada.get("/", headers={"Accept-Language": language}).content.decode()
    assert words in content
    assert "My classrooms" not in content
    assert (
        ">English</button>" in content and ">Deutsch</button>" in content
    )  # each language in its own


def test_a_user_without_classrooms_reads_so(admin_client):
    content = admin_client.get("/").content.decode()
    assert "You teach no classroom." in content
    assert reverse("admin:app_list", args=["classrooms"]) in content
