"""A short chaos breaks no promise. Longer ones are played by hand: `python -m tests.live.chaos`."""

import re
import signal
import sys

import pytest

from tests.processes import in_a_session, session

SEED = 4
CHAOS = [sys.executable, "-m", "tests.live.chaos", "--seed", str(SEED), "--seconds"]
LEAST = {"jobs": 10, "faults": 3, "hooks": 5}  # else it has shown nothing


@pytest.mark.timeout(240)
def test_a_short_chaos_breaks_no_promise():
    with in_a_session([*CHAOS, "8"]) as chaos:
        output = chaos.stdout.read()
        assert chaos.wait() == 0, output
    for what, least in LEAST.items():
        assert int(re.search(rf"^(\d+) {what}: ", output, re.MULTILINE)[1]) >= least, output


def test_ctrl_c_stops_every_process_of_a_chaos():
    with in_a_session([*CHAOS, "100"]) as chaos:
        assert "Seed 4" in chaos.stdout.readline()
        assert len(session(chaos.pid)) > 5
        chaos.send_signal(signal.SIGINT)
        chaos.stdout.read()
        assert chaos.wait() != 0
        assert session(chaos.pid) == []
