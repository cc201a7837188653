"""Fill an empty example with people to play with."""

from functools import cache

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from project.classrooms.models import Classroom, School, Student
from project.classrooms.samples import new_students

PASSWORD = "waitroom"  # noqa: S105 - of the sample users, and no secret  # nosec B105
SCHOOLS = {
    ("Hawthorn Primary School", "Bristol"): {
        "Kestrel Class": ("ada", 41),
        "Otter Class": ("ada", 36),
        "Badger Class": ("ada", 38),
        "Swift Class": ("grace", 35),
    },
    ("Lindenhof School", "Leeds"): {
        "4A": ("grace", 37),
        "4B": ("grace", 39),
        "5A": ("grace", 40),
        "5B": ("ada", 34),
    },
}


class Command(BaseCommand):
    """Create two schools, eight classrooms, 300 students and three users, once."""

    help = (
        "Create sample schools, classrooms and students, and the users ada, grace and head; "
        "nothing if they exist."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--migrate", action="store_true", help="bring the database up to date first"
        )

    def handle(self, *args, migrate, **options):
        """Write the sample data, or nothing if there is a school already."""
        if migrate:
            call_command("migrate", interactive=False, verbosity=0)
        if School.objects.exists():
            self.stdout.write("There are schools already: nothing was added.")
            return
        with transaction.atomic():
            self.create()

    def create(self):
        """Create all of it, and print how much there is."""
        teachers = {
            "ada": create_user("ada", first_name="Ada", last_name="Obi"),
            "grace": create_user("grace", first_name="Grace", last_name="Marlow"),
        }
        create_user("head", first_name="Helen", last_name="Ward", is_staff=True, is_superuser=True)
        create_schools(teachers)
        self.stdout.write(
            f"Added {School.objects.count()} schools, {Classroom.objects.count()} classrooms and"
            f" {Student.objects.count()} students."
            f" Log in as ada, grace or head with the password “{PASSWORD}”."
        )


def create_user(username, **fields):
    """Return the user of that name. An existing user keeps password and permissions."""
    users = get_user_model().objects
    return users.filter(username=username).first() or users.create(
        username=username, password=hashed_password(), **fields
    )


@cache
def hashed_password():
    """Return the hashed password, hashed only once because that takes long on purpose."""
    return make_password(PASSWORD)


def create_schools(teachers):
    """Create the schools and fill their classrooms."""
    enrolled = 0
    for (name, town), classrooms in SCHOOLS.items():
        school = School.objects.create(name=name, town=town)
        for classroom_name, (teacher, size) in classrooms.items():
            classroom = Classroom.objects.create(
                school=school, name=classroom_name, teacher=teachers[teacher]
            )
            enrol(classroom, new_students(size, after=enrolled))
            enrolled += size


def enrol(classroom, rows):
    """Seat new students in a classroom."""
    Student.objects.bulk_create(
        Student(classroom=classroom, first_name=first, last_name=last, born=born, email=email)
        for first, last, born, email in rows
    )
