"""The tools of front-end developers, as npm installs them: a type checker, a bundler, HTMX and Turbo; none is shipped.

The bundler makes the files of `frontend/static/jobs/bundle/`, which the templates load. Each holds all that it needs,
so it works where only hashed static files are kept. After a change of a module: `python -m tests.front`.
"""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STATIC = HERE.parent.parent / "frontend" / "static"
SOURCES = STATIC / "jobs"
BUNDLES = SOURCES / "bundle"
ENTRIES = ("client", "elements", "waiting")  # the modules of which a bundle is made
NOTE = "/* Made of the modules beside this folder by `python -m tests.front`: change those. */"
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


def make_bundles(folder: Path) -> None:
    """Write the bundles into a folder."""
    entries = [SOURCES / f"{name}.js" for name in ENTRIES]
    options = [
        "--bundle",
        "--format=esm",
        "--minify",
        "--legal-comments=none",
        f"--banner:js={NOTE}",
    ]
    command = [tool("esbuild"), *entries, *options, f"--outdir={folder}", "--log-level=warning"]
    subprocess.run(command, check=True)


@functools.cache
def _installed() -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="front-end-tools-")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder.name)
    subprocess.run(INSTALL, cwd=folder.name, check=True, timeout=INSTALL_TIMEOUT)
    return folder
