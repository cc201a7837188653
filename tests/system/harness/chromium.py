"""Where a Chromium is, and how the test run gets one when there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable

from project.demo.processes import Child, ProcessError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_TIMEOUT = 300  # seconds, for all attempts together
ADVICE = (
    "set CHROMIUM to one, install the package chromium, "
    "or run: python -m playwright install --with-deps chromium"
)
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # which root cannot use; it opens pages of our own only
]
APT_LOCK = "/run/lock/django-waitroom-apt"
PLAYWRIGHTS_OWN = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""
BY_PLAYWRIGHT = ["sh", "-c", f"'{sys.executable}' -m playwright install chromium"]


def find() -> str | None:
    """Return a Chromium that starts: the environment's, one on the PATH, or Playwright's own."""
    if "CHROMIUM" in os.environ:
        return first_that_starts([os.environ["CHROMIUM"]])
    return first_that_starts(map(shutil.which, NAMES)) or first_that_starts([playwrights_own()])


def first_that_starts(paths: Iterable[str | None]) -> str | None:
    """Return the first that exists and is more than a stub which asks for an installation."""
    return next(
        (path for path in paths if path and succeeds([path, "--version"], seconds=30)), None
    )


def playwrights_own() -> str:
    """Return where Playwright keeps its own, whether it is there or not."""
    return subprocess.run(
        [sys.executable, "-c", PLAYWRIGHTS_OWN], capture_output=True, text=True
    ).stdout.strip()


def install(say: Callable[[str], object]) -> str | None:
    """Get one from Debian's packages if we may, or else by Playwright, and return its path."""
    if "CHROMIUM" in os.environ:
        return None
    commands = [by_apt("chromium"), BY_PLAYWRIGHT] if may_use_apt() else [BY_PLAYWRIGHT]
    for command in commands:
        say(f"There is no Chromium for the browser tests; trying to get one: {command[-1]}")
        if succeeds(command, seconds=INSTALL_TIMEOUT / len(commands)) and (path := find()):
            return path
    return None


def may_use_apt() -> bool:
    """Tell whether Debian's packages can be had here."""
    return bool(shutil.which("apt-get")) and os.geteuid() == 0


def by_apt(package: str) -> list[str]:
    """Return the command that installs a Debian package; test processes take turns by a lock."""
    install = f"apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qy {package}"
    return ["flock", APT_LOCK, "sh", "-c", install]


def succeeds(command: list[str], seconds: float) -> bool:
    """Run a command, and tell whether it ended well in time; nothing of it is left afterwards."""
    child = Child(command[0], command)
    try:
        child.await_success(seconds)
    except ProcessError:
        return False
    finally:
        child.stop(grace=0)
    return True
