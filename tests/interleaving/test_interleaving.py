"""20,000 schedules of the real code, and a proof that they find what they are for."""

import os
import subprocess
import sys

import pytest

SCHEDULES = 10_000  # in each of the processes
PROCESSES = 2  # one for each core
SECONDS = 170  # no further schedule begins after them, on a machine that is busy with other things
ENVIRONMENT = {
    name: text
    for name, text in os.environ.items()
    if name not in ("REDIS_URL", "DJANGO_SETTINGS_MODULE")
}


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start `python -m tests.interleaving`."""
    command = [sys.executable, "-m", "tests.interleaving", *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.timeout(SECONDS + 120)
def test_no_schedule_breaks_a_promise():
    shares = [
        start("--seeds", 1 + share * SCHEDULES, SCHEDULES, "--seconds", SECONDS)
        for share in range(PROCESSES)
    ]
    outputs = [share.communicate()[0] for share in shares]
    assert [share.returncode for share in shares] == [0] * PROCESSES, "\n".join(outputs)
    assert all("0 broken" in output for output in outputs), "\n".join(outputs)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rule", ["claimed", "second look", "outcome"])
def test_schedules_find_a_rule_that_is_missing(rule):
    output, _nothing = start("--seeds", 1, SCHEDULES, "--without", rule).communicate()
    assert "python -m tests.interleaving --seed" in output, output
