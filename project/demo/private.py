"""A stack that shares nothing with anything else, for the check and for the tests."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from .processes import Child
from .stack import Stack


class PrivateStack(Stack):
    """A stack with a Redis and an SQLite file of its own, and none of the shell's settings."""

    grace = 0.0  # nothing in it is worth waiting for

    def __init__(
        self, pace: float = 0.0, on_line: Callable[[Child, str], object] = lambda child, line: None
    ):
        super().__init__(on_line=on_line)
        self.directory: tempfile.TemporaryDirectory | None = None
        self.extra_env = {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DEBUG": "1",
            **dict.fromkeys(
                ("CELERY_BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS"), ""
            ),  # as if nobody had set them
            "DEMO_PACE": str(pace),
        }

    @property
    def database(self) -> Path:
        """Return its SQLite file."""
        return Path(self.directory.name) / "db.sqlite3"

    def start(self) -> None:
        """Start all of it on an empty database."""
        self.directory = self.directory or tempfile.TemporaryDirectory(prefix="private-stack-")
        self.extra_env["DATABASE_URL"] = f"sqlite:///{self.database}"
        super().start()

    def stop(self) -> None:
        """Stop it and remove its database."""
        super().stop()
        if self.directory:
            self.directory.cleanup()
            self.directory = None
