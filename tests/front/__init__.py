"""The tools of front-end developers, as npm installs them: a type checker, a bundler, and HTMX; none is shipped."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STATIC = HERE.parent.parent / "frontend" / "static"
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
INSTALL_TIMEOUT = 100  # seconds; a few on a usual line
ADVICE = "there is no npm: install Node.js 18 or newer"


def tool(name: str) -> str:
    """Return the command of this name; without npm the test is skipped, and fails in CI."""
    return str(packages() / ".bin" / name)


def packages() -> Path:
    """Return the folder with the packages of package-lock.json, which are installed once for each test run."""
    if shutil.which("npm") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(ADVICE)
    return Path(_installed().name) / "node_modules"


@functools.cache
def _installed() -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="front-end-tools-")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder.name)
    subprocess.run(INSTALL, cwd=folder.name, check=True, timeout=INSTALL_TIMEOUT)
    return folder
