"""Print what was measured."""

import sys


def say(text: str) -> None:
    """Print a line at once; `pytest -rP` shows those of tests that passed."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
