"""The example's small world: schools, classrooms, students, and rosters that teachers upload."""

from collections.abc import Sequence

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

REPORTED_PROBLEMS = 100  # enough to see what is wrong with a file; the others are only counted


class School(models.Model):
    """A school with its classrooms."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    town = models.CharField(_("town"), max_length=100)

    class Meta:
        ordering = ["name"]
        verbose_name = _("school")
        verbose_name_plural = _("schools")

    def __str__(self):
        return self.name


class Classroom(models.Model):
    """A classroom of a school, taught by one teacher."""

    school = models.ForeignKey(
        School, models.CASCADE, related_name="classrooms", verbose_name=_("school")
    )
    name = models.CharField(_("name"), max_length=50)
    teacher = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="classrooms",
        verbose_name=_("teacher"),
    )

    class Meta:
        ordering = ["school__name", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["school", "name"], name="one_classroom_of_a_name_per_school"
            )
        ]
        verbose_name = _("classroom")
        verbose_name_plural = _("classrooms")

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        """Return the address of the classroom's page."""
        return reverse("classrooms:detail", args=[self.pk])

    @property
    def tag(self):
        """The tag of the jobs that change who sits here. Colleagues watch it."""
        return f"classroom:{self.pk}"

    def siblings(self):
        """Return the other classrooms of the same school."""
        return Classroom.objects.filter(school_id=self.school_id).exclude(pk=self.pk)


class Student(models.Model):
    """A student, who sits in one classroom at a time."""

    classroom = models.ForeignKey(
        Classroom, models.CASCADE, related_name="students", verbose_name=_("classroom")
    )
    first_name = models.CharField(_("first name"), max_length=60)
    last_name = models.CharField(_("last name"), max_length=60)
    born = models.DateField(_("born"))
    email = models.EmailField(_("e-mail address"), unique=True)

    class Meta:
        ordering = ["last_name", "first_name", "pk"]
        verbose_name = _("student")
        verbose_name_plural = _("students")

    def __str__(self):
        return self.name

    @property
    def name(self):
        """The full name."""
        return f"{self.first_name} {self.last_name}"

    def move_to(self, classroom_id):
        """Seat the student in another classroom."""
        self.classroom_id = classroom_id
        self.save(update_fields=["classroom"])


class RosterUpload(models.Model):
    """A file of students that a teacher uploaded, and what became of it.

    The file waits here for the worker, so that the message holds the row's key only.
    After the import, the content is dropped.
    """

    classroom = models.ForeignKey(
        Classroom, models.CASCADE, related_name="uploads", verbose_name=_("classroom")
    )
    name = models.CharField(_("file name"), max_length=200)
    content = models.BinaryField(_("content"))
    imported = models.PositiveIntegerField(_("students imported"), null=True, editable=False)
    # [{"line": 7, "text": "…"}, …]
    problems = models.JSONField(_("problems"), default=list, editable=False)
    problem_count = models.PositiveIntegerField(_("number of problems"), default=0, editable=False)
    created_at = models.DateTimeField(_("uploaded"), auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("roster upload")
        verbose_name_plural = _("roster uploads")

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        """Return the address of the report."""
        return reverse("classrooms:report", args=[self.pk])

    @property
    def is_settled(self):
        """Whether the file has been imported or rejected."""
        return self.imported is not None or self.problem_count > 0

    @property
    def unreported_count(self):
        """The number of problems beyond those that are listed."""
        return self.problem_count - len(self.problems)

    def accept(self, students: Sequence[Student]):
        """Enrol the students. The caller opens a transaction, so that all are enrolled or none."""
        for student in students:
            student.classroom = self.classroom
        Student.objects.bulk_create(students, batch_size=500)
        self.imported = len(students)
        self._settle()

    def reject(self, problems: Sequence[dict[str, int | str]]):
        """Keep the first hundred problems as the report, and enrol nobody."""
        self.problems = list(problems[:REPORTED_PROBLEMS])
        self.problem_count = len(problems)
        self._settle()

    def _settle(self):
        self.content = b""
        self.save()
