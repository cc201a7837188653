"""A new project with the files that a document prints, as printed."""

import os
import subprocess
import sys

from .documents import ROOT, blocks

# A checkout keeps templates and static files elsewhere than a wheel. Tests use `testserver`.
EDITABLE = f"""
TEMPLATES[0]["DIRS"] = [{str(ROOT / "frontend" / "templates")!r}]
STATICFILES_DIRS = [{str(ROOT / "frontend" / "static")!r}]
ALLOWED_HOSTS = ["testserver"]
"""
REDIS = "redis://127.0.0.1:6379/0"  # as documents have it
PREPARED = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
from jobs.repository import JobRepository
client = Client()
"""


class Project:
    """`mysite` with the app `reports`, as made by `startproject` and `startapp`."""

    def __init__(self, folder):
        self.folder = folder
        for command in (["startproject", "mysite", "."], ["startapp", "reports"]):
            subprocess.run([sys.executable, "-m", "django", *command], cwd=folder, check=True)
        (folder / "reports" / "templates" / "reports").mkdir(parents=True)

    def copy(self, *documents):
        """Write the files of documents or sections ("docs/x.md#Heading"), in order."""
        for block in (block for document in documents for block in blocks(document) if block.file):
            block.write(self.folder)
        return self

    def add(self, file, text):
        """Add a text to the end of a file."""
        with (self.folder / file).open("a") as target:
            target.write(text)
        return self

    def write(self, file, text):
        """Write a file, and replace one of the same name."""
        (self.folder / file).write_text(text)
        return self

    def python(self, *arguments):
        """Run Python in the project with the tests' Redis, and return what it printed."""
        settings = self.folder / "mysite" / "settings.py"
        settings.write_text(settings.read_text().replace(REDIS, os.environ["REDIS_URL"]))
        if EDITABLE not in settings.read_text():
            self.add("mysite/settings.py", EDITABLE)
        environment = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": str(self.folder)}
        environment |= {name: os.environ[name] for name in ("PATH", "REDIS_URL")}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def drive(self, script):
        """Run a script that has a test client as `client`, and a migrated database."""
        return self.python("-c", PREPARED + script)
