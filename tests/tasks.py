"""The tasks of the tests' jobs."""

from functools import wraps

from celery import current_app
from celery.app.trace import build_tracer
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import get_language

from jobs.exceptions import JobError
from jobs.tasks import JobTask, job_task

RUNS = []  # what has run, in order; the fixture `runs` clears it


class TooHeavy(JobError):
    """The parcel is too heavy."""


@job_task(handler_class="tests.handlers.PostHandler")
def send_parcel(self, parcel, weight=1):
    """Send it, unless it is too heavy."""
    RUNS.append(parcel)
    if weight > 10:
        raise TooHeavy(f"{parcel} is too heavy.")
    self.job.set_progress(1, 2, parcel)
    self.job.data["receipt"] = f"{parcel} sent"
    return "kept by nobody"


@job_task
def stumble(self, secret):
    """Raise an unexpected error."""
    raise RuntimeError(f"could not log in with {secret}")


@job_task
def remember_language(self):
    """Write down which language is active."""
    self.job.data["language"] = get_language()


@job_task
def end_inside_a_transaction(self, roll_back=False):
    """Write a row and complete in one transaction, which may be rolled back."""
    with transaction.atomic():
        Group.objects.create(name="written by the task")
        self.job.complete()
        if roll_back:
            raise RuntimeError("rolled back")


@job_task(max_retries=2, start_timeout=7)
def try_again(self, countdown):
    """Fail and ask for another attempt."""
    RUNS.append("try")
    raise self.retry(countdown=countdown, exc=RuntimeError("not yet"))


@job_task
def wait_for_cancel(self):
    """Cancel the own job, and work until a progress call raises."""
    self.job.cancel()
    RUNS.append("cancelled meanwhile")
    for n in range(1000):
        self.job.set_progress(n)
    RUNS.append("never reached")


@job_task(handler_class="tests.handlers.AgainHandler")
def send_again(self, parcel, weight=1, *, why=""):
    """Send a parcel, which can be sent again."""
    RUNS.append((parcel, weight))
    self.job.data["receipt"] = f"{parcel} sent"


@job_task(handler_class="tests.handlers.AgainHandler")
def send_many(self, *parcels, **weights):
    """Send parcels with any names."""


@job_task
def carry(self, **kwargs):
    """Write down how large the text in the job's data is."""
    self.job.data["seen"] = len(self.job.data["text"])


@job_task(handler_class="tests.handlers.AgainHandler")
def see(self, thing):
    """Remember the argument."""
    RUNS.append(thing)


@job_task(exclude_from_data=("access_token",))
def use_token(self, year, access_token=""):
    """Use a secret argument. Year 0 is retried."""
    if year == 0:
        raise self.retry(countdown=1)
    RUNS.append(access_token)


class Once(JobTask):
    """Send nothing, as some libraries do while the same task runs."""

    def apply_async(self, *args, **kwargs):
        return self.AsyncResult("the-one-that-runs")


@job_task(base=Once)
def only_once(self):
    """Never run."""


def careless(function):
    """Decorate a function without regard to coroutines."""
    return wraps(function)(lambda *args: function(*args))


@job_task
@careless
async def pass_a_coroutine_on(self):
    """Never run."""


class Pack(JobTask):
    """A task with a class of its own."""

    def run(self, parcel, ribbon="blue"):
        """Pack a parcel."""
        RUNS.append(f"{parcel} in {ribbon}")


@job_task(unique_on=("year", "form"))
def report_once(self, year, form="pdf", note=""):
    """Write a report, one at a time for each year and form."""
    RUNS.append(year)


@job_task(unique_on=())
def stock_once(self, shelf=0):
    """Take stock of one shelf at a time."""


@job_task(unique_on=("year",), unique_scope="everyone")
def import_rows(self, year):
    """Import the rows of a year, once for all users."""


@job_task(unique_on=("shop",))
def collect_once(self, **wishes):
    """Collect any wishes."""


class PackOnce(Pack):
    """A class whose runs are unique for a parcel."""

    name = "tests.tasks.PackOnce"
    unique_on = ("parcel",)


PACK = current_app.register_task(Pack())
PACK_ONCE = current_app.register_task(PackOnce())


def deliver(message, **changes):
    """Run a message's task as a worker process does."""
    args, kwargs, embed = message.payload
    task = current_app.tasks[message.headers["task"]]
    request = {
        **message.headers,
        **embed,
        "hostname": "worker@here",
        "delivery_info": {},
        **changes,
    }
    return build_tracer(task.name, task, app=current_app)(
        message.headers["id"], args, kwargs, request
    )
