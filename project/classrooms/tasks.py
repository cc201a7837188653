"""The jobs of the example: move the students of a classroom, and import a roster."""

import time

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.exceptions import JobError
from jobs.tasks import job_task

from .models import RosterUpload, Student
from .roster import Roster


class RosterError(JobError):
    """The roster was not imported. The text is for the teacher."""


@job_task(
    handler_class="project.classrooms.handlers.TransferHandler",
    # A double click or a second tab gets the job that already runs.
    unique_on=("classroom_id", "target_id"),
)
def transfer_students(self, classroom_id, target_id):
    """Move the students one by one. A cancel takes effect between two of them."""
    students = Student.objects.filter(classroom_id=classroom_id)
    for n, student in enumerate(students, start=1):
        student.move_to(target_id)
        self.job.set_progress(n, len(students), student.name)
        time.sleep(settings.DEMO_PACE)
    self.job.data["was_it_nice"] = "yes_it_was"


@job_task(handler_class="project.classrooms.handlers.ImportHandler")
def import_roster(self, upload_id):
    """Enrol all students of an uploaded file, or nobody if anything is wrong with it.

    A settled file is not read a second time, because a message may be delivered twice.
    """
    upload = RosterUpload.objects.select_related("classroom").get(pk=upload_id)
    if not upload.is_settled:
        roster = Roster(upload.content)
        for n, total in roster.check():
            self.job.set_progress(n, total, _("Checking the lines"))
            time.sleep(settings.DEMO_PACE)
        settle(upload, roster)
    if upload.problem_count:
        raise RosterError(rejection(upload))
    self.job.data["imported"] = upload.imported


@job_task(handler_class="project.classrooms.handlers.DrillHandler")
def fail(self):
    """Fail with a text for the person who waits."""
    self.job.set_progress(1, 3, _("Looking for the key"))
    time.sleep(10 * settings.DEMO_PACE)
    raise JobError(_("The key to the bell was not found."))


@job_task(handler_class="project.classrooms.handlers.DrillHandler")
def stumble(self):
    """Fail unexpectedly: the person reads a reference, and the log has the rest."""
    time.sleep(10 * settings.DEMO_PACE)
    raise RuntimeError("the bell has fallen off the wall")


@job_task(handler_class="project.classrooms.handlers.DrillHandler")
def be_slow(self):
    """Take long and report little, so that the page shows the usual time and a cancel button."""
    for n in range(600):
        self.job.set_progress(n, None, _("Counting the children"))
        time.sleep(settings.DEMO_PACE)


@job_task(handler_class="project.classrooms.handlers.DrillHandler", max_retries=2)
def try_again(self):
    """Fail twice, with pauses, and then succeed."""
    if self.request.retries < 2:
        raise self.retry(countdown=max(1, 100 * settings.DEMO_PACE))


@job_task(handler_class="project.classrooms.handlers.DrillHandler")
def walk_down(self, floor):
    """Clear one floor, as one part of a group."""
    time.sleep((10 + floor) * settings.DEMO_PACE)


def settle(upload, roster):
    """Enrol the roster's students in one transaction, or keep the report of its problems."""
    if roster.problems:
        upload.reject(roster.problems)
        return
    try:
        with transaction.atomic():
            upload.accept(roster.students)
    except IntegrityError as error:
        raise RosterError(
            _(
                "Nothing was imported: somebody else enrolled some of these students meanwhile. "
                "Upload the file again."
            )
        ) from error


def rejection(upload):
    """Say in one sentence that nobody was enrolled, and why."""
    sentence = ngettext(
        "Nothing was imported: there is %(count)s problem in %(name)s.",
        "Nothing was imported: there are %(count)s problems in %(name)s.",
        upload.problem_count,
    )
    return sentence % {"count": upload.problem_count, "name": upload.name}
