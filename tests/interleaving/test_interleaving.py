"""Schedules of the real code find what they are for. `.ci/run` plays 20,000 of them."""

import os
import signal
import subprocess
import sys

import pytest

from tests.processes import await_end

SCHEDULES = 1_500
ENVIRONMENT = {
    name: text
    for name, text in os.environ.items()
    if name not in ("REDIS_URL", "DJANGO_SETTINGS_MODULE")
}


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m tests.interleaving`, in a session of its own."""
    command = [sys.executable, "-m", "tests.interleaving", *map(str, arguments)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(
        command, env=ENVIRONMENT | environment, start_new_session=True, **output
    )


def played(*arguments: object) -> tuple[int, str]:
    """Return the exit code and the output."""
    with start(*arguments) as process:
        output, _nothing = process.communicate()
    return process.returncode, output


@pytest.mark.timeout(300)
def test_no_schedule_breaks_a_promise():
    code, output = played("--seeds", 1, SCHEDULES)
    assert code == 0 and output.endswith(f"\n{SCHEDULES} of {SCHEDULES} played, 0 broken\n"), (
        output
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rule", ["claimed", "second look", "outcome"])
def test_schedules_find_a_rule_that_is_missing(rule):
    code, output = played("--seeds", 1, 10_000, "--without", rule)
    assert code == 1 and "python -m tests.interleaving --seed" in output, output


def test_a_seed_gives_the_same_play_again():
    (code, output), again = played("--seed", 7), played("--seed", 7)
    assert code == 0 and output.count("\n") > 10
    assert again == (code, output)


@pytest.mark.parametrize("processes", [1, 2])
def test_schedules_cut_short_are_no_success(processes):
    code, output = played("--seeds", 1, 10_000, "--seconds", 0.1, "--processes", processes)
    assert code == 1 and "of 10000 played, 0 broken" in output, output


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_share_the_seeds_end_with_their_parent(end, tmp_path):
    with start("--seeds", 1, 10_000_000, "--processes", 2, TMPDIR=str(tmp_path)) as process:
        assert {process.stdout.readline()[:6], process.stdout.readline()[:6]} == {"plays "}  # both
        process.send_signal(end)
    await_end(process.pid)
