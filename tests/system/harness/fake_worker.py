"""A process that does to the stack's jobs what tasks do, at the moment when a test wants it."""

import subprocess
import sys
from typing import Self

from .stack import LiveStack

SCRIPT = """
import sys
import django
django.setup()
from django.contrib.auth import get_user_model
from jobs.repository import JobRepository
from jobs.states import JobState

jobs = {}

def new(username, tag):
    owner = get_user_model().objects.get(username=username)
    job = JobRepository().create(
        handler_class="project.classrooms.handlers.TransferHandler",
        owner=owner,
        tags=[tag] if tag else [],
        classroom_id=1,
    )
    jobs[job.id] = job
    return job.id

for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Backstage:
    """Creates jobs, and calls their verbs as a worker would."""

    def __init__(self, stack: LiveStack) -> None:
        command = [sys.executable, "-c", SCRIPT]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=stack.env, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=10)

    def create(self, username: str = "ada", tag: str = "") -> str:
        """Make a job of one of the sample users, and return its id."""
        return self._say(f"new({username!r}, {tag!r})")

    def create_running(self, username: str = "ada") -> str:
        """Make one that runs already."""
        job_id = self.create(username)
        self.call(job_id, "start")
        return job_id

    def call(self, job_id: str, verb: str, *arguments: object) -> None:
        """Call one of the job's verbs."""
        self._say(f"jobs[{job_id!r}].{verb}(*{arguments!r})")

    def write(self, job_id: str, key: str, value: object) -> None:
        """Write into its data."""
        self._say(f"jobs[{job_id!r}].data.__setitem__({key!r}, {value!r})")

    def end(self, job_id: str, state: str, error: str = "") -> None:
        """End it in one of the ways that have no verb of their own."""
        self._say(f"jobs[{job_id!r}].end(JobState({state!r}), {error!r})")

    def _say(self, expression: str) -> str:
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        assert answer, f"{expression} failed"
        return answer
