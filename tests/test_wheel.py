"""What a project really gets that installs the wheel."""

import ast
import json
import re
import sys
import zipfile

from tests.docs.documents import ROOT

from .wheels import clean_environment, run

REPORT = """
import json, sys
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.staticfiles", "jobs"
    ],
    STATIC_URL="static/",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)
django.setup()
import jobs, jobs.store
from django.contrib.staticfiles import finders
from django.template.loader import get_template
json.dump({
    "package": jobs.__file__,
    "template": get_template("jobs/waiting.html").origin.name,
    "static": [finders.find(name) for name in sys.argv[1:]],
}, sys.stdout)
"""


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files(*path):
    """Return the names of the files below a folder of the checkout."""
    folder = ROOT.joinpath(*path)
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    return {name for name in found if not name.endswith((".pyc", ".keep"))}


def test_the_wheel_holds_the_app_with_its_scripts_pages_and_types(wheel):
    app = {f"jobs/{name}" for name in files("jobs")}
    pages = {
        f"jobs/{kind}/{name}"
        for kind in ("static", "templates")
        for name in files("frontend", kind)
    }
    assert {"jobs/py.typed", "jobs/templates/jobs/waiting.html"} <= app | pages
    assert any(name.endswith(".lua") for name in app) and any(
        name.endswith(".js") for name in pages
    )
    assert (app | pages) - names(wheel) == set()


def test_the_wheel_holds_nothing_but_the_app(wheel):
    folders = {name.split("/")[0] for name in names(wheel)}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"jobs"}
    assert not any("/tests/" in name for name in names(wheel))


def test_an_installed_app_finds_its_templates_and_static_files(installed_python, tmp_path):
    static = sorted(files("frontend", "static"))
    report = json.loads(
        run(str(installed_python), "-c", REPORT, *static, cwd=tmp_path, env=clean_environment())
    )
    prefix = str(installed_python.parent.parent)
    assert report["package"].startswith(prefix)
    assert report["template"].startswith(prefix)
    assert len(report["static"]) >= 2
    assert all(path and path.startswith(prefix) for path in report["static"])


def test_a_project_s_type_checker_sees_the_types_of_the_installed_app(installed_python, tmp_path):
    project = tmp_path / "typed_project.py"
    project.write_text((ROOT / "tests" / "typed_project.py").read_text())
    options = [
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(tmp_path),
        "--python-executable",
        str(installed_python),
    ]
    run(sys.executable, "-m", "mypy", *options, str(project), cwd=tmp_path)


def test_what_the_app_imports_is_what_the_wheel_depends_on(wheel):
    of_celery_and_django = {"kombu", "billiard", "asgiref"}
    own = {*sys.stdlib_module_names, "jobs", *of_celery_and_django}
    trees = [
        ast.parse((ROOT / "jobs" / name).read_text())
        for name in files("jobs")
        if name.endswith(".py")
    ]
    imported = {
        name.partition(".")[0]
        for tree in trees
        for node in ast.walk(tree)
        for name in imports(node)
    } - own
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(
            next(name for name in archive.namelist() if name.endswith("/METADATA"))
        ).decode()
    required = {
        line.split()[1] for line in metadata.splitlines() if line.startswith("Requires-Dist: ")
    }
    needed = {re.split(r"[^\w-]", name)[0].replace("-", "_") for name in required}
    assert {name.lower() for name in imported} <= needed


def imports(node):
    """Return the modules that a statement imports absolutely."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
