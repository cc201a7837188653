"""`python -m tests.bench [--quick] [--json FILE] [--jobs N] [--sockets N]`."""

import argparse
import resource
import signal
import sys
from pathlib import Path

from project.demo.processes import ProcessError

from .figures import results
from .report import json_line, table
from .setup import Setup
from .subjects import LIMIT, SUBJECTS
from .turn import WARM, Plan, rounds
from .usage import keep_off_last_core

FULL = Plan(rounds=5, sockets=1000, jobs=200, calls=300)
QUICK = Plan(rounds=2, sockets=80, jobs=40, calls=100)
START_TIMEOUT = 60.0  # seconds


def plan_of(arguments: list[str]) -> tuple[Plan, Path | None]:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append the line of JSON to this file")
    parser.add_argument("--jobs", type=int, metavar="N", help="jobs a round that end at a walk, for the latency")
    parser.add_argument("--sockets", type=int, metavar="N", help="sockets open at a time")
    given = parser.parse_args(arguments)
    base = QUICK if given.quick else FULL
    plan = Plan(base.rounds, given.sockets or base.sockets, given.jobs or base.jobs, base.calls)
    if not WARM < plan.jobs < plan.sockets:
        parser.error(f"there must be more sockets than jobs, and more than {WARM} of both")
    return plan, given.json


def main() -> int:
    """Measure, print, and return 0; or 1 and one line when something could not be measured; 130 when interrupted."""
    plan, file = plan_of(sys.argv[1:])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is stopped and removed
    keep_off_last_core()
    try:
        with Setup() as setup:
            loop = setup.servers[LIMIT].child.await_line("loop: (.+)", START_TIMEOUT)[1]
            calls = setup.worker.call("measure_calls", plan.rounds, plan.calls)
            trips = setup.worker.call("count_trips", plan.calls)
            taken = rounds(setup, plan, SUBJECTS)
    except ProcessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    found = results(taken, calls, trips)
    line = json_line(taken, calls, found, plan, loop)
    sys.stdout.write(f"{table(taken, calls, found)}\n\n{line}\n")
    if file:
        with file.open("a") as output:
            output.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
