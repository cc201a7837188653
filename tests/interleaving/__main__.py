"""Plays schedules: `python -m tests.interleaving --seed 7`, or `--seeds 1 20000`.

A process for each CPU plays its part of them.
"""

import argparse
import importlib
import logging
import os
import re
import signal
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from project.demo.embedded import EmbeddedServer
from project.demo.processes import Child

MEMORY = Path("/dev/shm")  # noqa: S108 - a disk would be the slowest part
RULES = ("claimed", "second look", "outcome")
TALLY = re.compile(r"(\d+) of (\d+) played, (\d+) broken")

say = partial(print, flush=True)


class Tally(NamedTuple):
    """How many schedules were asked for, and what became of them."""

    asked: int
    played: int
    broken: int

    def __str__(self) -> str:
        return f"{self.played} of {self.asked} played, {self.broken} broken"

    @property
    def is_well(self) -> bool:
        """Say whether all were played, and none broke a promise."""
        return self.played == self.asked and not self.broken


def main() -> int:
    """Play, and print how to repeat what went wrong. Return 1 unless all went well."""
    options = parse()
    is_in_memory = MEMORY.is_dir() and "TMPDIR" not in os.environ
    with tempfile.TemporaryDirectory(
        prefix="interleaving-", dir=MEMORY if is_in_memory else None
    ) as folder:
        return share(options, folder) if options.processes > 1 else play_here(options, folder)


def parse() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.interleaving", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one schedule, and print every move")
    parser.add_argument(
        "--seeds", type=positive, nargs=2, default=(1, 1000), metavar=("FIRST", "COUNT")
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin no further schedule after them"
    )
    parser.add_argument(
        "--processes", type=positive, default=os.cpu_count() or 1, help="that share the seeds"
    )
    parser.add_argument(
        "--without",
        choices=RULES,
        help="remove a rule, and stop when that is found; in one process",
    )
    options = parser.parse_args()
    is_for_one = options.seed is not None or options.without
    options.processes = 1 if is_for_one else min(options.processes, options.seeds[1])
    return options


def positive(text: str) -> int:
    """Return a number from 1, or raise `ArgumentTypeError`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def share(options: argparse.Namespace, folder: str) -> int:
    """Let child processes play, each a share of the seeds with a Redis and a database of its own.

    They end when this process does, and they write only into its folder.
    """
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(128 + number)
    )  # so that the folder is removed
    first, count = options.seeds
    bounds = [first + count * n // options.processes for n in range(options.processes + 1)]
    with ExitStack() as at_the_end:
        children = []
        for begin, end in zip(bounds, bounds[1:], strict=False):
            children.append(start(begin, end - begin, options.seconds, folder))
            at_the_end.callback(children[-1].stop, grace=0)
        tallies = [await_tally(child) for child in children]
    return report(
        Tally(count, sum(each.played for each in tallies), sum(each.broken for each in tallies))
    )


def start(first: int, count: int, seconds: float, folder: str) -> Child:
    """Start a process that plays these schedules and prints those that broke a promise."""
    seeds = ["--seeds", str(first), str(count), "--seconds", str(seconds), "--processes", "1"]
    return Child(
        f"the process from seed {first}",
        [sys.executable, "-m", "tests.interleaving", *seeds],
        env=os.environ | {"TMPDIR": folder},
        on_line=lambda child, line: None if TALLY.fullmatch(line) else say(line),
    )


def await_tally(child: Child) -> Tally:
    """Wait until a process has played, and return what it printed. A dead one played nothing."""
    while not child.await_exit(60):
        pass
    if told := TALLY.fullmatch(child.last_words):
        return Tally(int(told[2]), int(told[1]), int(told[3]))
    say(child.obituary)
    return Tally(0, 0, 0)


def report(tally: Tally) -> int:
    """Print the tally, and return 1 unless all went well."""
    say(tally)
    return int(not tally.is_well)


def play_here(options: argparse.Namespace, folder: str) -> int:
    """Play the schedules in this process."""
    with EmbeddedServer() as server:
        os.environ.update(
            REDIS_URL=server.url,
            INTERLEAVING_DATABASE=f"{folder}/db.sqlite3",
            DJANGO_SETTINGS_MODULE="tests.interleaving.settings",
        )
        plays = prepare(options.without)
        return play_all(plays, options) if options.seed is None else play_one(plays, options.seed)


def prepare(rule: str | None) -> Any:
    """Return the module that plays; Django has its settings from here on."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    logging.disable(logging.CRITICAL)
    plays = importlib.import_module("tests.interleaving.play")
    plays.prepare()
    if rule:
        plays.remove(rule)
    return plays


def play_one(plays: Any, seed: int) -> int:
    """Play one schedule, and print all that happened."""
    broken = plays.run(seed)
    say(*plays.account(), *broken, sep="\n")
    return int(bool(broken))


def play_all(plays: Any, options: argparse.Namespace) -> int:
    """Play many schedules, print those that broke a promise, and how many were played."""
    until = monotonic() + options.seconds
    first, count = options.seeds
    say(f"plays {count} from seed {first}")
    played = broken = 0
    for seed in range(first, first + count):
        if monotonic() > until or (broken and options.without):
            break
        played += 1
        if wrong := plays.run(seed):
            broken += 1
            say(f"{'; '.join(wrong)}\n    python -m tests.interleaving --seed {seed}")
    return report(Tally(count, played, broken))


if __name__ == "__main__":
    sys.exit(main())
