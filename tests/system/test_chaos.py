"""A short chaos breaks no promise. Play longer ones by hand: `python -m tests.system.chaos`."""

import re
import signal
import subprocess
import sys

import pytest

from tests.processes import in_a_session, session

SEED = 4
CHAOS = [sys.executable, "-m", "tests.system.chaos", "--seed", str(SEED), "--seconds"]
LEAST = {"jobs": 10, "faults": 3, "hooks": 5}  # else it has shown nothing
CHAOS_TIMEOUT = 200  # seconds


@pytest.mark.flaky(reruns=0)  # a promise that is broken now and then is broken
@pytest.mark.timeout(CHAOS_TIMEOUT + 40)
def test_a_short_chaos_breaks_no_promise():
    chaos = subprocess.run([*CHAOS, "8"], capture_output=True, text=True, timeout=CHAOS_TIMEOUT)
    assert chaos.returncode == 0, chaos.stdout + chaos.stderr
    for what, least in LEAST.items():
        number = int(re.search(rf"^(\d+) {what}: ", chaos.stdout, re.MULTILINE)[1])
        assert number >= least, chaos.stdout


def test_ctrl_c_stops_every_process_of_a_chaos():
    with in_a_session([*CHAOS, "100"]) as chaos:
        assert "Seed 4" in chaos.stdout.readline()
        assert len(session(chaos.pid)) > 5
        chaos.send_signal(signal.SIGINT)
        assert chaos.wait(60) != 0
        assert len(session(chaos.pid)) == 1  # that of `in_a_session`
