"""Wall clocks of single processes, set while they run (Debian's package `faketime`)."""

import os
from pathlib import Path

import pytest

from project.demo.embedded import EmbeddedServer

PLACES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
HOUR = 3600


def find_library() -> Path:
    """Return the library; without it the test is skipped, and fails in CI."""
    found = next(Path("/").glob(PLACES[1:]), None)
    if found is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("There is no libfaketime: apt-get install faketime")
    return found


class Clock:
    """The wall clock of every process started with its `env`; their monotonic clocks go on.

    It is read again every second.
    """

    def __init__(self, file: Path):
        self.file = file
        self.set(0)
        self.env = {
            "LD_PRELOAD": str(find_library()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: float) -> None:
        """Make the clock wrong by `seconds`."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+g}\n")
        new.replace(self.file)


class TimedServer(EmbeddedServer):
    """A Redis with a clock of its own."""

    def __init__(self, clock: Clock, **options):
        super().__init__(**options)
        self.clock = clock

    def _command(self, port: int) -> list[str]:
        return [
            "env",
            *(f"{name}={value}" for name, value in self.clock.env.items()),
            *super()._command(port),
        ]
