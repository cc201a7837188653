"""`spin` tries every interleaving of a small model of claims, and finds each rule that is removed.

`claim.pml` has a worker, two people, the archive and faults; `unarchived.pml` has Redis alone.
"""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODELS = {"claim": HERE / "claim.pml", "unarchived": HERE / "unarchived.pml"}
SEARCH_TIMEOUT = 300  # seconds; alone on two cores, the longest search takes ten
DEPTH = 1_000_000  # steps in one run; the longest has some hundreds
SAFETY = ["-O2", "-DSAFETY", "-DNOCLAIM"]
MUTANT = ["-O1", "-DSAFETY", "-DNOCLAIM"]
LIVENESS = ["-O2", "-DNFAIR=3"]
FAIRLY = ["-a", "-f"]  # look for cycles in which every process that can move does so


def mutants() -> list[tuple[str, str]]:
    """Return every rule that a model can be built without: its model and its name."""
    found = []
    for model, path in MODELS.items():
        found += [
            (model, name)
            for name in re.findall(
                r"#define (\w+) +\d+ +/\* ", path.read_text().partition("#define NONE")[0]
            )
        ]
    return found


@cache
def spin() -> str:
    """Return the path of `spin`, or fail with a sentence that says where it comes from."""
    path = shutil.which("spin")
    assert path and shutil.which("gcc"), "install spin and gcc: apt-get install spin gcc libc6-dev"
    return path


def search(model: str, folder: Path, kind: list[str], *options: str) -> str:
    """Search all that a model can do, and return what `pan` reports."""
    run([spin(), "-a", *options, str(MODELS[model])], folder)
    run(["gcc", "-w", *kind, "-o", "pan", "pan.c"], folder)
    return run(["./pan", f"-m{DEPTH}", *(FAIRLY if kind is LIVENESS else [])], folder)


def run(command: list[str], folder: Path) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command, cwd=folder, timeout=SEARCH_TIMEOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_exhausted(report: str) -> None:
    """Fail unless the whole of a model was searched, and nothing found."""
    assert "errors: 0" in report, report
    for shortcoming in (
        "Search not completed",
        "max search depth too small",
        "truncated",
        "out of memory",
    ):
        assert shortcoming not in report, report


@pytest.mark.timeout(SEARCH_TIMEOUT)
@pytest.mark.parametrize("model", MODELS)
def test_no_interleaving_breaks_a_promise(model: str, tmp_path: Path) -> None:
    assert_exhausted(search(model, tmp_path, SAFETY))


@pytest.mark.timeout(SEARCH_TIMEOUT)
def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    assert_exhausted(search("claim", tmp_path, LIVENESS, "-DFAULTS=1"))


@pytest.mark.timeout(SEARCH_TIMEOUT)
@pytest.mark.parametrize(("model", "rule"), mutants())
def test_each_rule_is_needed(model: str, rule: str, tmp_path: Path) -> None:
    assert re.search(r"errors: [1-9]", search(model, tmp_path, MUTANT, f"-DMUTANT={rule}"))
