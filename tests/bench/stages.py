"""Where the time goes from the worker's call to the page's frame: `python -m tests.bench.stages`.

Four moments of each job: the worker's clock before `complete()`, Redis's clock in the script
(the job's version), the server's when the push arrives at the hub, the page's when the frame
does. All run on one machine, so the clocks are one. Microseconds, median and 95th percentile, on
daphne and on uvicorn.
"""

import sys
import time
from dataclasses import replace

from .setup import Setup
from .subjects import OURS, UVICORN, Subject
from .turn import WARM, Turn, quantile
from .usage import allow_many_files, keep_off_last_core

PAGES = 1000
JOBS = 150
STAGES = (
    "worker: before the call to Redis's script",
    "Redis's script to the hub",
    "the hub to the page",
    "together",
)
STAGED = [
    replace(subject, server=subject.server.replace("project.asgi", "tests.bench.staged"))
    for subject in (OURS, UVICORN)
]


def stages_of(setup: Setup, subject: Subject) -> list[list[float]]:
    """Return the microseconds of each stage, of each job."""
    turn = Turn(setup, subject)
    jobs = turn.start(PAGES)
    turn.open(jobs)
    turn.walk(jobs[:WARM])
    turn.server.child.lines.clear()
    moments = turn.moments(jobs[WARM : WARM + JOBS])
    versions = setup.worker.call("versions", list(moments))
    arrived = dict(
        map(int, line.split()[1:]) for line in turn.server.child.lines if line.startswith("push ")
    )
    turn.close()
    since_1970 = time.time_ns() - time.monotonic_ns()
    taken = []
    for job_id, (before, heard) in moments.items():
        version = versions[job_id]
        at = [before + since_1970, version * 1000, arrived[version], heard + since_1970]
        taken.append(
            [(b - a) / 1000 for a, b in [*zip(at, at[1:], strict=False), (at[0], at[-1])]]
        )
    return [list(stage) for stage in zip(*taken, strict=True)]


def main() -> None:
    """Measure and print."""
    allow_many_files()
    keep_off_last_core()
    with Setup(tuple(STAGED)) as setup:
        rows = {subject.name: stages_of(setup, subject) for subject in STAGED}
    sys.stdout.write(f"{'microseconds: p50 (p95)':45}{''.join(f'{name:>20}' for name in rows)}\n")
    for n, stage in enumerate(STAGES):
        cells = (
            f"{quantile(taken[n], 0.5):.0f} ({quantile(taken[n], 0.95):.0f})"
            for taken in rows.values()
        )
        sys.stdout.write(f"{stage:45}{''.join(f'{cell:>20}' for cell in cells)}\n")


if __name__ == "__main__":
    main()
