"""Plays a chaos: `python -m tests.system.chaos --seed 7 --seconds 240`.

Prints the figures, and if a promise was broken what the nemesis did and the life of each broken
job; returns 1 then.
"""

import argparse
import asyncio
import logging
import sys
from random import Random

from project.demo.supervisor import running

from .checker import check
from .history import History
from .nemesis import Nemesis
from .people import Person
from .report import errors, figures, life
from .stack import LOST_AFTER, START_TIMEOUT, ChaosStack

PEOPLE = 6
SLOWEST = LOST_AFTER + START_TIMEOUT + 8  # seconds: a person's time, a hook, a post to be repeated
SHOWN = 8  # broken jobs


def main() -> int:
    """Play one seed, and tell of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=240)
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # connections are cut on purpose
    history = History()
    stack = ChaosStack(options.seed)
    with running(stack, say):
        say(f"Seed {options.seed}: {stack}, {options.seconds:g} s")
        asyncio.run(play(stack, history, options.seed, options.seconds))
        collect(stack, history)
    return tell(history, stack, options.seed)


async def play(stack: ChaosStack, history: History, seed: int, seconds: float) -> None:
    """Let people live and the nemesis rage, then wait until everybody has been served."""
    randoms = [Random(f"{seed} person {n}") for n in range(PEOPLE)]  # noqa: S311 - no secrets
    people = [
        Person(f"person {n}", stack.base_url, history, random) for n, random in enumerate(randoms)
    ]
    nemesis = Nemesis(stack, history, seed, seconds)
    is_over = asyncio.Event()
    await asyncio.gather(*(person.arrive() for person in people))
    lives = [asyncio.create_task(person.live(is_over)) for person in people]
    try:
        await asyncio.to_thread(nemesis.run)
        is_over.set()
        await asyncio.gather(*lives)
        await asyncio.wait([page for person in people for page in person.pages], timeout=SLOWEST)
        await asyncio.gather(*(person.look_at_all() for person in people))
    finally:
        nemesis.is_over.set()
        pages = [page for person in people for page in person.pages]
        for page in [*lives, *pages]:
            page.cancel()
        results = await asyncio.gather(*lives, *pages, return_exceptions=True)
        await asyncio.gather(*(person.client.aclose() for person in people))
    for error in results:
        if isinstance(error, Exception):
            raise error


def collect(stack: ChaosStack, history: History) -> None:
    """Add what tasks, hooks and the archive have left."""
    for line in (stack.folder / "notes").read_text().splitlines():
        job, word, at, pid = line.split()
        kind = "begins" if word == "begins" else "ends"
        word = "" if word == "begins" else word
        history.add(kind, float(at), job=job, word=word, pids=(int(pid),))
    for (name,) in stack.rows("SELECT name FROM auth_group"):
        job, hook, state, at, _token = name.split()
        history.add("hook", float(at), job=job, who=hook, state=state)
    query = "SELECT id, state, version, claimed_at IS NOT NULL, claimed_url FROM jobs_jobrecord"
    for job, state, version, claimed, url in stack.rows(query):
        word = "claimed" if claimed else ""
        history.add("row", job=job, state=state, version=version, word=word, url=url)


def tell(history: History, stack: ChaosStack, seed: int) -> int:
    """Print all of it; return 1 if a promise was broken."""
    broken = check(history)
    say(*figures(history), f"errors in the logs: {errors(stack.printed)}")
    say(f"{sum(map(len, broken.values()))} violations, {len(broken)} jobs")
    if not broken:
        return 0
    say("", "what the nemesis did:", *history.of_kind("fault", "emptied", "calm"))
    for job, wrong in [*broken.items()][:SHOWN]:
        say("", job, *wrong, *life(history, job))
        say(*(line for line in stack.printed if job and job in line))
    say("", f"python -m tests.system.chaos --seed {seed}")
    return 1


def say(*lines: object) -> None:
    """Print lines."""
    print(*lines, sep="\n", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
