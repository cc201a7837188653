"""What open pages cost one server process and one Redis: the figures of docs/grow.md.

`python -m tests.system.grown.measure [--pages 2000]` starts a Redis, a daphne and the pages.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()  # which the tickets need

from tests.system.harness.printing import say  # noqa: E402
from tests.system.harness.site import Site  # noqa: E402
from tests.system.harness.socket_page import SocketPage, listening, lost  # noqa: E402
from tests.system.harness.tickets import ticket_for  # noqa: E402
from tests.system.harness.usage import cpu_seconds, memory  # noqa: E402

RECONCILE = 4.0  # seconds; RECONCILE_SECONDS here
LIMITS = {"RECONCILE_SECONDS": RECONCILE, "LOST_AFTER": 3600}
PASSES = 4  # of reconciliation that are watched
FOREIGN = 1000  # jobs that are created, started and completed while nobody watches them
WARM = 50  # pages that are open before anything is measured


class Spent:
    """What server and Redis have spent since the block began."""

    def __init__(self, site: Site):
        self.site = site

    def __enter__(self) -> "Spent":
        self._at = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        then, now = self._at, self._now()
        self.seconds, self.server, self.redis, self.commands = (
            b - a for a, b in zip(then, now, strict=True)
        )

    def _now(self) -> tuple[float, float, float, int]:
        commands = self.site.client.info("stats")["total_commands_processed"]
        return (
            time.monotonic(),
            cpu_seconds(self.site.server),
            cpu_seconds(self.site.redis.child),
            commands,
        )


async def measure(site: Site, number: int) -> None:
    """Print all figures."""
    stored = site.client.info("memory")["used_memory"]
    ids = await asyncio.to_thread(site.shell.create, number)
    say(
        f"Redis: {(site.client.info('memory')['used_memory'] - stored) / number / 1024:.1f} "
        "KiB a job"
    )
    await _pages(site, ids)
    await _restart(site, await asyncio.to_thread(site.shell.create, number))


async def _pages(site: Site, ids: list[str]) -> None:
    number = len(ids) - WARM
    async with listening(_opened(site, ids[:WARM])) as warm:
        held = memory(site.server)
        with Spent(site) as opening:
            many = await _open(_opened(site, ids[WARM:]))
        say(
            f"open: {(memory(site.server) - held) / number / 1024:.1f} KiB a socket "
            "of the server's memory"
        )
        say(
            f"open: {opening.server / number * 1000:.2f} ms of the server, "
            f"{number / opening.seconds:.0f} a second"
        )
        say(
            f"open: {opening.redis / number * 1e6:.0f} us of Redis, "
            f"{opening.commands / number:.2f} commands"
        )
        with Spent(site) as idle:
            await asyncio.sleep(PASSES * RECONCILE)
        passes = idle.seconds / RECONCILE * len(ids)
        say(f"a look at a job: {idle.server / passes * 1e6:.0f} us of the server's core")
        say(
            f"a look at a job: {idle.redis / passes * 1e6:.0f} us of Redis, "
            f"{idle.commands / passes:.2f} commands"
        )
        with Spent(site) as foreign:
            others = await asyncio.to_thread(site.shell.create, FOREIGN)
            await asyncio.to_thread(site.shell.end, others)
        looks = idle.server / passes * foreign.seconds / RECONCILE * len(ids)
        say(
            f"a life that nobody watches: {(foreign.server - looks) / FOREIGN * 1e6:.0f} us "
            "of the server"
        )
        say(f"a life that nobody watches: {foreign.redis / FOREIGN * 1e6:.0f} us of Redis")
        with Spent(site) as ending:
            await asyncio.to_thread(site.shell.end, ids)
            missing = await lost([*warm, *many], 30)
        say(
            f"an end: {ending.server / len(ids) * 1000:.2f} ms of the server's core, "
            f"{len(missing)} lost"
        )
        say(
            f"an end: {ending.redis / len(ids) * 1e6:.0f} us of Redis, "
            f"{ending.commands / len(ids):.2f} commands"
        )
        for page in many:
            page.stop()


async def _restart(site: Site, ids: list[str]) -> None:
    async with listening(_opened(site, ids)) as pages:
        await asyncio.to_thread(site.server.stop, 5)
        await asyncio.to_thread(site.start_server)
        await asyncio.to_thread(site.await_server)
        started = time.monotonic()
        for page in pages:
            await page.is_listening.wait()
        again = time.monotonic() - started
        gaps = [page.opened_at[-1] - page.closed_at[0] for page in pages]
        tries = [len(page.opened_at) - 1 for page in pages]
    say(
        f"restart: {len(ids)} pages listen again {again:.1f} s after the server does, "
        f"{len(ids) / again:.0f} a second"
    )
    say(
        f"restart: back after {min(gaps):.1f} to {max(gaps):.1f} s, "
        f"half within {statistics.median(gaps):.1f} s, "
        f"standard deviation {statistics.pstdev(gaps):.1f} s, {max(tries)} connections at most"
    )


def _opened(site: Site, ids: list[str]) -> list[SocketPage]:
    return [SocketPage(site.base_url, job_id, ticket_for(job_id)) for job_id in ids]


async def _open(pages: list[SocketPage]) -> list[SocketPage]:
    """Open them, some at a time: a server to which all come at once is measured by `_restart`."""
    for start in range(0, len(pages), 100):
        for page in pages[start : start + 100]:
            page.start()
        await asyncio.gather(*(page.is_listening.wait() for page in pages[start : start + 100]))
    return pages


def main() -> int:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=2000)
    number = parser.parse_args().pages
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory() as folder,
        Site(Path(folder) / "db.sqlite3", **LIMITS) as site,
    ):
        asyncio.run(measure(site, number))
    return 0


if __name__ == "__main__":
    sys.exit(main())
