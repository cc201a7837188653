"""Helpers to install the wheel in an environment of its own, without the network."""

import os
import subprocess
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

SCRIPTS = ("celery", "daphne", "django-admin")
SCRIPT = """#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""


def run(*command, **options):
    """Run a command that must succeed, and return what it printed."""
    result = subprocess.run(command, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def clean_environment(**more):
    """Return the shell's variables without those that redirect Python or Django."""
    ours = ("PYTHON", "DJANGO_", "VIRTUAL_ENV", "PIP_", "COV_", "PYTEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def give_dependencies(environment: Path) -> None:
    """Let an environment see our dependencies and their commands, as if pip had installed them.

    A path file leads to them. Python does not read the .pth files behind such a path, so the
    environment does not see the checkout.
    """
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    points = {
        point.name: point
        for found in distributions()
        for point in found.entry_points
        if point.group == "console_scripts" and point.name in SCRIPTS
    }
    for name, point in points.items():
        script = environment / "bin" / name
        script.write_text(
            SCRIPT.format(
                python=environment / "bin" / "python", module=point.module, function=point.attr
            )
        )
        script.chmod(0o755)
