"""What is made of the figures: ratios under the promised names, verdicts, tables, the plot."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from .__main__ import FULL, plan_of
from .figures import AT_LEAST, AT_MOST, results, verdict
from .markdown import LABELS, TABLES, filled_in
from .measure import Taken
from .plot import Plot, apart, series_of
from .report import json_line, table
from .subjects import LIMIT, NAIVE, OURS, POLLING, PUBSUB, SESSION, SUBJECTS, UVICORN

PROMISED = """
p50_vs_limit p50_vs_tutorial p50_vs_polling p95_vs_limit deliveries_vs_limit
deliveries_vs_tutorial fanout_vs_tutorial
kb_per_socket handshake_vs_naive complete_vs_publish round_trips_per_life growth_sockets
growth_stored lost
"""
FIGURES = {
    "p50_ms": 1.0,
    "p95_ms": 2.0,
    "delivery_us": 50.0,
    "fanout_ms": 40.0,
    "handshake_us": 900.0,
}
PEERS = {
    LIMIT: {"p50_ms": 0.5, "delivery_us": 25.0},
    PUBSUB: {"p50_ms": 4.0, "fanout_ms": 200.0, "delivery_us": 300.0},
    NAIVE: {"handshake_us": 3000.0},
    SESSION: {"handshake_us": 1500.0},
    POLLING: {"p50_ms": 250.0},
}


@pytest.fixture
def taken():
    """Return figures of two rounds, the second of them on a machine that is twice as slow."""
    turns = {}
    for subject in SUBJECTS:
        first = {
            "lost": 0,
            "kb_per_socket": 25.0,
            "push_us": 1.0,
            **FIGURES,
            **PEERS.get(subject, {}),
        }
        turns[subject] = [first, {name: 2 * value for name, value in first.items()}]
    calls = {"publish": [50.0, 100.0], "progress_throttled": [1.0, 2.0]}
    calls |= {
        kind: [150.0, 300.0]
        for kind in ("complete", "complete_archived", "progress_sent", "group_send")
    }
    trips = {f"{what}_per_complete": 1.0 for what in ("round_trips", "commands")}
    lives = {
        "life_ms": [10.0, 20.0],
        "task_ms": [5.0],
        "round_trips": 7.0,
        "steps_ms": {"start": 1.0},
    }
    curves = {OURS: {100: [1.0, 2.0], 5000: [1.1, 2.2]}, LIMIT: {100: [0.5], 5000: [0.5]}}
    trips |= {"connections_per_complete": 0.0, "round_trips_per_life": 6.0}
    return Taken("uvloop", turns, calls, trips, lives, curves, {1000: [1.0], 1_000_000: [1.3]}, 0)


@pytest.fixture
def run(taken):
    return json.loads(json_line(taken, FULL))


def test_the_json_holds_the_promised_names(run):
    assert [name for name in PROMISED.split() if not isinstance(run.get(name), float | int)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("p50_vs_limit", 2),
        ("p50_vs_tutorial", 0.25),
        ("p50_vs_polling", 250),
        ("deliveries_vs_limit", 0.5),
        ("deliveries_vs_tutorial", 6),
        ("fanout_vs_tutorial", 0.2),
        ("handshake_vs_naive", 0.3),
        ("complete_vs_publish", 3),
        ("growth_sockets", 1.1),
        ("growth_stored", 1.3),
    ],
)
def test_a_ratio_is_taken_within_each_round(taken, name, value):
    spread = results(taken)[name]
    assert (spread.median, spread.low, spread.high) == pytest.approx((value, value, value))


def test_a_missed_goal_is_called_missed_everywhere(taken, run):
    assert run["missed"] == ["p50_vs_limit", "growth_stored"]
    assert table(taken).count(" NO\n") == 3  # p50_vs_limit on both servers
    goals = "\n".join(TABLES["goals"](run))
    assert goals.count("**missed**") == 2


def test_what_the_other_server_reaches_is_said(taken):
    taken.rounds[UVICORN][:] = [
        turn | {"p50_ms": turn["p50_ms"] * 0.6} for turn in taken.rounds[UVICORN]
    ]
    goals = "\n".join(TABLES["goals"](json.loads(json_line(taken, FULL))))
    assert "| missed, reached on uvicorn |" in goals


def test_a_lost_frame_of_any_kind_is_counted(taken):
    taken.rounds[UVICORN][1]["lost"] = 2
    assert results(replace(taken, lost_growing=1))["lost"].median == 3


def test_each_goal_has_its_row_and_nothing_else_has_a_verdict():
    assert set(LABELS) == {*AT_MOST, *AT_LEAST}
    assert verdict("p50_run_ms", 1) == ""


def test_documents_are_filled_in_at_their_places_and_again(run):
    document = "before\n<!-- bench: goals -->\nold\n<!-- /bench -->\nafter\n"
    filled = filled_in(document, run)
    assert "old" not in filled
    assert filled.startswith("before\n<!-- bench: goals -->\n| figure |")
    assert filled_in(filled, run) == filled
    assert all(list(make(run)) for make in TABLES.values())


def test_the_plot_shows_every_curve(run):
    root = ElementTree.fromstring(Plot(series_of(run)).svg())  # noqa: S314 - our own
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    texts = [text.text for text in root.findall("{http://www.w3.org/2000/svg}text")]
    assert len(lines) == 2
    assert {"ours, daphne", "limit (bare server)", "5,000"} <= set(texts)


def test_names_beside_the_curves_do_not_overlap():
    assert apart([10, 12, 50], 16) == [10, 26, 50]


def test_the_plan_has_more_sockets_than_jobs():
    assert plan_of(["--quick", "--jobs", "30"])[0].jobs == 30
    with pytest.raises(SystemExit):
        plan_of(["--sockets", "10"])
