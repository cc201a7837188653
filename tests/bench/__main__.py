"""`python -m tests.bench [--quick] [--json FILE] [--jobs N] [--sockets N]`."""

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path

from project.demo.processes import ProcessError

from .measure import measure
from .report import json_line, table
from .turn import WARM, Plan
from .usage import allow_many_files, keep_off_last_core

FULL = Plan(
    rounds=5,
    sockets=1000,
    jobs=200,
    fan_outs=5,
    calls=300,
    growth=(100, 300, 1000, 2500, 5000),
    stored=(1000, 1_000_000),
    peers_rounds=1,
    lives=100,
)
QUICK = Plan(
    rounds=3,
    sockets=200,
    jobs=60,
    fan_outs=1,
    calls=100,
    growth=(100, 1000),
    stored=(1000, 100_000),
    peers_rounds=0,
    lives=20,
)


def plan_of(arguments: list[str]) -> tuple[Plan, Path | None]:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds: a look, not a result"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="append the line of JSON to this file"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="jobs a round that end at a walk, for the latency"
    )
    parser.add_argument("--sockets", type=int, metavar="N", help="sockets open at a time")
    given = parser.parse_args(arguments)
    base = QUICK if given.quick else FULL
    plan = replace(base, sockets=given.sockets or base.sockets, jobs=given.jobs or base.jobs)
    if not WARM < plan.jobs < plan.sockets:
        parser.error(f"there must be more sockets than jobs, and more than {WARM} of both")
    return plan, given.json


def main() -> int:
    """Measure and print; return 0, 1 if something could not be measured, or 130 on Ctrl-C."""
    plan, file = plan_of(sys.argv[1:])
    allow_many_files()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # so that everything is stopped and removed
    keep_off_last_core()
    try:
        taken = measure(plan)
    except ProcessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    line = json_line(taken, plan)
    sys.stdout.write(f"{table(taken)}\n\n{line}\n")
    if file:
        with file.open("a") as output:
            output.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
