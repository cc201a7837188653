"""The wheel, built once, and environments in which it is installed as somebody would, without the network."""

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
    """Run a command to its good end, and return what it printed."""
    result = subprocess.run(command, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def clean_environment(**more):
    """Return the shell's variables without those that would lead Python or Django elsewhere."""
    ours = ("PYTHON", "DJANGO_", "VIRTUAL_ENV", "PIP_", "COV_", "PYTEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def give_dependencies(environment: Path) -> None:
    """Let an environment see our dependencies, where we have them, and their commands, as pip would install both.

    It sees them by path, whose own .pth files are not read: so not the checkout.
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
