"""Do to the stack's jobs what a worker does, at the moment when a test wants it."""

from typing import Self

from .project_shell import ProjectShell
from .stack import LiveStack

HANDLER = "project.classrooms.handlers.TransferHandler"


class FakeWorker:
    """Creates jobs of the sample users, and calls their verbs as a worker would."""

    def __init__(self, stack: LiveStack) -> None:
        self._shell = ProjectShell(stack.env)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._shell.close()

    def create(self, username: str = "ada", tag: str = "") -> str:
        """Create a pending job of one of the sample users, and return its id."""
        [job_id] = self._shell.create(
            owner=self._shell.owner_of(username),
            start=False,
            handler=HANDLER,
            tags=[tag] if tag else [],
            classroom_id=1,
        )
        return job_id

    def create_running(self, username: str = "ada") -> str:
        """Create a job and start it."""
        job_id = self.create(username)
        self.call(job_id, "start")
        return job_id

    def call(self, job_id: str, verb: str, *arguments: object) -> None:
        """Call one of the job's verbs."""
        self._shell.call(job_id, verb, *arguments)

    def write(self, job_id: str, key: str, value: object) -> None:
        """Write one value of the job's data."""
        self._shell.set_data(job_id, key, value)

    def end(self, job_id: str, state: str, error: str = "") -> None:
        """End the job in a state that has no verb of its own."""
        self._shell.end([job_id], state, error=error)
