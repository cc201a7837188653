"""The documents are true: their code runs, the site builds, and the reference matches the code.

`tests/docs/documents.py` reads the blocks. The test that runs a document's code names it.
"""

import ast
import importlib
import re
import subprocess
import sys

import django
import pytest
from django.core.management import get_commands
from django.template import Template
from pygments.lexers import get_lexer_by_name

from jobs import events
from jobs.conf import JobsSettings
from jobs.core import text
from jobs.live import consumer, subscription
from jobs.push import frames
from jobs.states import TRANSITIONS, JobState
from tests.factories import create_job

from .documents import ROOT, blocks, documents

DOCUMENTS = [path.relative_to(ROOT).as_posix() for path in documents()]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
TESTED_BY = {
    "README.md": "docs/test_readme.py",
    "docs/tutorial.md": "system/test_tutorial.py",
    "docs/testing.md": "docs/test_guides.py",
    "docs/from-celery-progress.md": "docs/test_guides.py",
    "docs/from-polling.md": "docs/test_guides.py",
    "docs/recipes.md": "docs/test_guides.py",
    "docs/frontend.md": "docs/test_recipes.py",
    "docs/operate.md": "docs/test_operate.py",
    "docs/grow.md": "docs/test_grow.py",
    "docs/an-app-called-jobs.md": "core/test_app_label.py",
}
DJANGO_TASKS = "django.tasks" if django.VERSION < (6,) else "nothing is missing"


def every(*languages):
    """Return all blocks of these languages as parameters, each with its document as id."""
    found = [
        (name, block)
        for name in DOCUMENTS
        for block in blocks(name)
        if block.language in languages
    ]
    return [
        pytest.param(block, id=f"{name}-{number}") for number, (name, block) in enumerate(found)
    ]


@pytest.mark.parametrize(
    "name", [name for name in DOCUMENTS if blocks(name, "python") or blocks(name, "html")]
)
def test_a_document_with_code_is_named_by_the_test_that_runs_it(name):
    assert name in TESTED_BY, f"say in TESTED_BY which test runs the code of {name}"
    source = (ROOT / "tests" / TESTED_BY[name]).read_text()
    assert all(part in source for part in name.split("/"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_block_is_of_a_language_that_the_site_can_show(name):
    for language in {block.language for block in blocks(name)} - {""}:
        assert get_lexer_by_name(language)


@pytest.mark.parametrize("block", every("python"))
def test_what_python_code_imports_exists(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and is_installed(node.module):
            module = importlib.import_module(node.module)
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            for name in missing:
                importlib.import_module(f"{node.module}.{name}")


def is_installed(module):
    """Return False for a module of the printed project or of a newer Django."""
    return module.split(".")[0] not in ("reports", "mysite") and not module.startswith(
        DJANGO_TASKS
    )


@pytest.mark.parametrize("block", every("html"))
def test_html_is_a_template(block):
    Template(block.text)


@pytest.mark.parametrize("block", every("sh"))
def test_commands_are_valid_and_exist(block):
    assert (
        subprocess.run(["/bin/sh", "-n"], input=block.text, text=True, capture_output=True).stderr
        == ""
    )
    ours = set(get_commands()) | {"runserver"}
    assert set(re.findall(r"manage\.py ([a-z_]+)", block.text)) <= ours
    for module in re.findall(r"python -m (tests[.\w]*)", block.text):
        assert importlib.util.find_spec(module)


@pytest.mark.timeout(60)
def test_the_site_builds_without_a_warning_and_needs_no_network(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "docs",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    pages = {path.name: path.read_text() for path in (tmp_path / "site").glob("*.html")}
    assert {"index.html", "tutorial.html", "reference.html", "security.html"} <= pages.keys()
    assert [
        name
        for name, page in pages.items()
        if re.search(r'<(script|link|img)[^>]+(src|href)="https?:', page)
    ] == []


def first_cells(heading):
    """Return the first cells of a section's tables, without their backquotes."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)[
        1
    ]
    return re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)


def names(cells):
    """Return the single words in backquotes."""
    return [word for cell in cells for word in re.findall(r"`(\w+)`", cell)]


def test_the_settings_table_matches_the_code():
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)` \|", REFERENCE, re.MULTILINE))
    defaults = JobsSettings()
    values = {name: getattr(defaults, name) for name in defaults.__slots__}
    assert table == {name: repr(value).replace("'", '"') for name, value in values.items()}


def test_the_states_and_their_transitions_match_the_code():
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", REFERENCE, re.MULTILINE))
    assert list(rows)[: len(JobState)] == list(JobState)
    for state, following in TRANSITIONS.items():
        assert (rows[state] == "nothing") == (following == frozenset())
        if "any end" in rows[state]:
            alive = {follower for follower in following if not follower.is_ended}
            assert set(re.findall(r"`(\w+)`", rows[state])) == alive


@pytest.mark.django_db
def test_events_fields_and_error_codes_match_the_code():
    words = names(first_cells("The socket"))
    told = [
        events.CREATED,
        events.STARTED,
        events.PROGRESS,
        events.RETRYING,
        events.READY,
        events.FAILED,
    ]
    told += [events.CANCELLED, events.EXPIRED, events.LOST]
    codes = [
        consumer.BAD,
        subscription.LOGGED_OUT,
        consumer.NOT_FOUND,
        consumer.TOO_MANY,
        consumer.TRY_LATER,
    ]
    fields = list(frames.job_object(create_job(handler_class="jobs.handlers.JobHandler")))
    assert words[: len(told)] == told
    assert words[len(told) : -len(codes)] and set(words[len(told) : -len(codes)]) == set(fields)
    assert words[-len(codes) :] == [str(code) for code in codes]


def test_texts_are_cut_at_the_documented_length():
    cut = {int(number) for number in re.findall(r"cut at (\d+)", REFERENCE)} | {1000}
    assert cut == set(text.LONGEST.values())


def test_links_between_documents_lead_somewhere():
    links = [
        (ROOT / name).parent / target
        for name in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", (ROOT / name).read_text())
    ]
    assert len(links) > len(DOCUMENTS)
    assert [link for link in links if not link.exists()] == []
