"""docs/operate.md is true: its tables match the code, and its snippets run."""

import logging.config
import re
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

from jobs import metrics
from jobs.doctor.public_address import FOREIGN_ORIGIN
from jobs.doctor.walk import STEPS, STEPS_WITH_URL
from jobs.testing import run_immediately
from tests.factories import ended_job

from .documents import blocks

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text()


def first_cells(pattern):
    """Return the first cells of all table rows."""
    return re.findall(rf"^\| `{pattern}` \|", TEXT, re.MULTILINE)


def test_every_check_is_in_the_table():
    sources = "".join(file.read_text() for file in (ROOT / "jobs" / "checks").glob("*.py"))
    assert first_cells(r"(jobs\.[EW]\d+)") == sorted(
        set(re.findall(r'"(jobs\.[EW]\d+)"', sources))
    )


def test_every_metric_is_in_the_table():
    figures = [
        metrics.CREATED,
        metrics.ENDED,
        metrics.WAITED,
        metrics.RAN,
        metrics.DELIVERED,
        metrics.SOCKETS,
    ]
    families = [family for figure in [*figures, metrics.MISSED] for family in figure.describe()]
    names = {family.name + "_total" * (family.type == "counter") for family in families}
    assert set(first_cells(r"(jobs_\w+)")) == names | {"jobs_alive", "jobs_store_up"}


def test_every_metric_has_the_labels_of_the_table():
    table = dict(re.findall(r"^\| `(jobs_\w+)` \| (.*?) ?\|", TEXT, re.MULTILINE))
    for figure in (metrics.CREATED, metrics.ENDED, metrics.WAITED, metrics.RAN, metrics.MISSED):
        name = figure.describe()[0].name + "_total" * (figure.describe()[0].type == "counter")
        assert table[name] == ", ".join(f"`{label}`" for label in figure._labelnames)


def test_every_command_is_in_the_table():
    files = (ROOT / "jobs" / "management" / "commands").glob("[a-z]*.py")
    assert set(re.findall(r"^\| `manage\.py (\w+)", TEXT, re.MULTILINE)) == {
        file.stem for file in files
    }


def test_the_page_shows_the_doctor_s_steps():
    shown = re.findall(r"^(?:ok   |wrong) (\w+): ", TEXT, re.MULTILINE)
    assert shown == [*STEPS, *STEPS_WITH_URL]
    assert FOREIGN_ORIGIN.endswith(".invalid")


def test_the_printed_logging_names_the_job():
    snippet = re.search(r"LOGGING = (\{.*?\n\})", TEXT, re.DOTALL)[1].replace("    ...\n", "")
    settings = eval(snippet)  # noqa: S307 - our own document
    configurator = logging.config.DictConfigurator(settings)
    record = logging.makeLogRecord({"name": "shop", "msg": "hello", "levelname": "INFO"})
    configurator.configure_filter(settings["filters"]["job_id"]).filter(record)
    formatter = configurator.configure_formatter(settings["formatters"]["with_job"])
    assert formatter.format(record).endswith("INFO shop [-] hello")


@pytest.mark.django_db(transaction=True)
def test_the_printed_handler_can_run_its_jobs_again():
    (snippet,) = [
        block.text for block in blocks("docs/operate.md", "python") if "start_again" in block.text
    ]
    namespace = {"__name__": "tests.shown"}
    exec(  # noqa: S102
        snippet.replace("from . import", "from tests import").replace(
            "export_report", "send_again"
        ),
        namespace,
    )
    job = ended_job(handler_class=namespace["ExportHandler"], parcel="books")
    with run_immediately():
        assert job.handler.rerun(None).refresh().data["receipt"] == "books sent"


@pytest.mark.parametrize(
    "name", ["jobs.metrics.expose", "jobs.health.health", "jobs.apps.MeasuredJobsConfig"]
)
def test_what_the_page_names_exists(name):
    assert name in TEXT and import_string(name)
