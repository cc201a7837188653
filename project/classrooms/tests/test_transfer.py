"""The transfer, from the button to the classroom page."""

import pytest
from django.urls import reverse

from jobs.repository import JobRepository
from jobs.testing import (
    advance_clock,
    broker_down,
    cancel_at_start,
    capture_events,
    kill_worker,
    run_at_end,
    run_immediately,
    run_job,
    store_down,
)
from project.classrooms.tasks import transfer_students

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(as_ada, classroom, target):
    """Return a function that runs a transfer and returns its waiting page's address."""

    def press():
        with run_immediately():
            answer = as_ada.post(
                reverse("classrooms:transfer", args=[classroom.pk]), {"target": target.pk}
            )
        return answer["Location"]

    return press


def test_all_students_move_and_a_message_says_so(as_ada, start, classroom, target, students):
    waiting_page = start()
    answer = as_ada.post(f"{waiting_page}ready/", follow=True)
    assert answer.redirect_chain[-1][0] == classroom.get_absolute_url()
    assert "It was so nice." in answer.content.decode()
    assert list(target.students.all()) == students
    assert not classroom.students.exists()


def test_a_double_click_and_two_tabs_are_one_job(as_ada, classroom, target, students):
    address = reverse("classrooms:transfer", args=[classroom.pk])
    with run_at_end():
        pages = {as_ada.post(address, {"target": target.pk})["Location"] for _ in range(4)}
    (waiting_page,) = pages
    assert [f"/jobs/{job.id}/" for job in JobRepository().for_owner(classroom.teacher)] == [
        waiting_page
    ]
    assert target.students.count() == len(students)


def test_the_waiting_page_says_what_is_being_done(as_ada, start, students):
    content = as_ada.get(start()).content.decode()
    assert "Moving the students" in content
    assert "Schoolhouse" in content  # inside the example's own layout


def test_colleagues_of_both_classrooms_can_watch(start, classroom, target, students):
    with capture_events() as frames:
        start()
    job = JobRepository().find(frames[-1]["job"]["id"])
    assert job.tags == (classroom.tag, target.tag)


def test_progress_shows_the_students_names(start, students):
    with capture_events() as frames:
        start()
    progress = [
        frame["job"]["progress"] for frame in frames if frame["event"] in {"progress", "ready"}
    ]
    assert [shown["message"] for shown in progress][0] == "Mei Silva"
    assert progress[-1]["total"] == 2


def test_a_deleted_target_fails_with_a_neutral_message(from_ada, classroom, students):
    job = run_job(transfer_students, from_ada, classroom_id=classroom.pk, target_id=404)
    assert job.state == "failed"
    assert job.error.startswith("Something went wrong.")
    assert classroom.students.count() == 2


def test_a_cancel_stops_between_two_students(from_ada, as_ada, classroom, target, students):
    with cancel_at_start():
        job = run_job(transfer_students, from_ada, classroom_id=classroom.pk, target_id=target.pk)
    assert job.state == "cancelled"
    assert target.students.count() == 1
    answer = as_ada.post(f"{job.get_absolute_url()}ready/", follow=True)
    assert answer.redirect_chain[-1][0] == classroom.get_absolute_url()
    assert "The transfer was stopped." in answer.content.decode()


def test_nobody_else_may_claim_it(as_ada, client, grace, start, students):
    waiting_page = start()
    client.force_login(grace)
    assert client.post(f"{waiting_page}ready/").status_code == 404


def test_a_killed_worker_sends_the_teacher_back_with_a_message(
    from_ada, as_ada, classroom, target, students
):
    with kill_worker():
        job = run_job(transfer_students, from_ada, classroom_id=classroom.pk, target_id=target.pk)
    advance_clock(60, job)
    assert job.refresh().state == "lost"
    answer = as_ada.post(f"{job.get_absolute_url()}ready/", follow=True)
    assert answer.redirect_chain[-1][0] == classroom.get_absolute_url()
    assert list(classroom.students.all()) == students


def test_a_transfer_that_no_worker_takes_expires(from_ada, classroom, target, students):
    job = transfer_students.submit_job(
        from_ada, kwargs={"classroom_id": classroom.pk, "target_id": target.pk}
    )
    advance_clock(3601, job)
    assert job.refresh().state == "expired"


def test_without_a_broker_the_teacher_still_sees_a_page(as_ada, classroom, target, students):
    with broker_down():
        answer = as_ada.post(
            reverse("classrooms:transfer", args=[classroom.pk]), {"target": target.pk}, follow=True
        )
    assert "The work could not be started." in answer.content.decode()


def test_without_redis_nothing_starts_and_the_answer_is_503(as_ada, classroom, target, students):
    with store_down():
        answer = as_ada.post(
            reverse("classrooms:transfer", args=[classroom.pk]), {"target": target.pk}
        )
    assert answer.status_code == 503
    assert list(classroom.students.all()) == students


def test_the_office_moves_the_rest_by_running_the_job_again(
    client, start, target, students, admin_user
):
    with kill_worker():
        job = JobRepository().find(start().split("/")[-2])
    advance_clock(46, job)
    assert job.refresh().state == "lost" and not target.students.exists()
    client.force_login(admin_user)
    with run_immediately():
        client.post(reverse("admin:jobs_jobrecord_rerun", args=[job.id]))
    assert list(target.students.all()) == students
