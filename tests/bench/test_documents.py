"""The figures in the documents are those of the last run that is kept beside them."""

import pytest

from tests.docs.documents import ROOT

from .markdown import filled_in
from .plot import Plot, last_run, series_of

RUN = last_run(ROOT / "docs" / "benchmark.json")


@pytest.mark.parametrize("name", ["README.md", "docs/benchmark.md"])
def test_a_document_shows_the_figures_of_the_run(name):
    document = (ROOT / name).read_text()
    assert "<!-- bench: machine -->" in document
    assert filled_in(document, RUN) == document


def test_the_picture_is_drawn_from_the_run():
    assert (ROOT / "docs" / "images" / "latency.svg").read_text() == Plot(series_of(RUN)).svg()


def test_the_run_was_a_full_one():
    assert RUN["plan"]["rounds"] >= 5
    assert RUN["plan"]["growth"][-1] == 5000
