"""What tasks tell a test and a test tells tasks: by files, which outlive every server."""

import os
import threading
import time

from django.conf import settings

PAUSE = 0.02  # seconds


def note(word):
    """Write a line with our process id, in one piece."""
    with (settings.FAULTS_DIR / "notes").open("a") as file:
        file.write(f"{word} {os.getpid()}\n")


def gate_is_open(name):
    """Say whether the test has opened a gate."""
    return (settings.FAULTS_DIR / f"gate.{name}").exists()


def await_gate(name, seconds=30):
    """Wait in silence until the test opens a gate."""
    give_up = time.monotonic() + seconds
    while not gate_is_open(name):
        if time.monotonic() > give_up:
            raise TimeoutError(f"nobody opened the gate {name}")
        time.sleep(PAUSE)


class Ticker(threading.Thread):
    """Another thread of the task's process; it can tell for how long it could not run."""

    def __init__(self):
        super().__init__(daemon=True)
        self.times = [time.monotonic()]
        self.start()

    def run(self):
        while len(self.times) < 10_000:
            time.sleep(PAUSE)
            self.times.append(time.monotonic())

    def longest_gap(self):
        """Return the seconds of its longest rest."""
        times = [*self.times, time.monotonic()]
        return max(later - earlier for earlier, later in zip(times, times[1:], strict=False))
