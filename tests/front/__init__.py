"""Tools of front-end developers, installed by npm: a type checker, a bundler, HTMX and Turbo.

None of them is shipped. The bundler makes the files of `frontend/static/jobs/bundle/`, which the
templates load. A bundle imports nothing, so it works on sites that keep only hashed static files.
After a change of a module, run `python -m tests.front`.
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
ENTRIES = ("client", "elements", "waiting")  # the modules that have a bundle
NOTE = "/* Made of the modules beside this folder by `python -m tests.front`: change those. */"
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
INSTALL_TIMEOUT = 100  # seconds; it usually takes a few
NO_NPM = "there is no npm: install Node.js 18 or newer"


def tool(name: str) -> str:
    """Return the path of a command. Without npm the test is skipped; in CI it fails."""
    return str(packages() / ".bin" / name)


def packages() -> Path:
    """Return the folder with the packages of package-lock.json, installed once per test run."""
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail(NO_NPM)
        pytest.skip(NO_NPM)
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
