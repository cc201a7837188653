"""Plays schedules: `python -m tests.interleaving --seed 7`, or `--seeds 1 10000` until `--seconds` are over."""

import argparse
import importlib
import logging
import os
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

from project.demo.embedded import EmbeddedServer

MEMORY = Path("/dev/shm")  # noqa: S108 - a disk would be the slowest part


def main() -> int:
    """Play, print what went wrong with the command that plays it again, and return 1 if anything did."""
    options = parse()
    folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
    with EmbeddedServer() as server, folder as path:
        os.environ.update(
            REDIS_URL=server.url,
            INTERLEAVING_DATABASE=f"{path}/db.sqlite3",
            DJANGO_SETTINGS_MODULE="tests.interleaving.settings",
        )
        return play(options)


def parse() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one schedule, and print every move")
    parser.add_argument(
        "--seeds", type=int, nargs=2, default=(1, 1000), metavar=("FIRST", "COUNT")
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin no further schedule after them"
    )
    parser.add_argument(
        "--without",
        choices=("claimed", "second look", "outcome"),
        help="remove a rule, and stop when that is found",
    )
    return parser.parse_args()


def play(options: argparse.Namespace) -> int:
    """Play the schedules; Django has its settings from here on."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    logging.disable(logging.CRITICAL)
    plays = importlib.import_module("tests.interleaving.play")
    plays.prepare()
    if options.without:
        plays.remove(options.without)
    if options.seed is not None:
        broken = plays.run(options.seed)
        print(*plays.stage.trace, plays.results(), *broken, sep="\n")  # noqa: T201
        return bool(broken)
    first, number = options.seeds
    return play_all(plays, range(first, first + number), options)


def play_all(plays: Any, seeds: range, options: argparse.Namespace) -> int:
    """Play many schedules, print those that broke a promise, and how many were played."""
    until = monotonic() + options.seconds
    played = broken = 0
    for seed in seeds:
        if monotonic() > until or (broken and options.without):
            break
        played += 1
        if wrong := plays.run(seed):
            broken += 1
            print(  # noqa: T201
                f"{'; '.join(wrong)}\n    python -m tests.interleaving --seed {seed}", flush=True
            )
    print(f"{played} played, {broken} broken")  # noqa: T201
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
