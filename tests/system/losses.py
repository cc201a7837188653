"""Count the completions that open pages never hear of, over every fault on the way.

`python -m tests.system.losses [--jobs 10000] [--quick]` starts real servers and opens pages with
the reconnect rule of the page's own script; it prints a line for each fault and exits with 1 if
anything was lost.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()  # which the tickets need

from .harness.printing import say  # noqa: E402
from .harness.site import Site  # noqa: E402
from .harness.socket_page import SocketPage, lost  # noqa: E402
from .harness.tickets import ticket_for  # noqa: E402

HEARD_WITHIN = 60.0  # seconds; a page that has heard nothing by then has lost its job
OPEN_PAGES = 1000  # at the same time
RESTARTED = 200  # pages that are open while a server restarts


class Losses:
    """Runs one fault after the other against one site, and counts."""

    def __init__(self, site: Site, quiet: float):
        self.site = site
        self.quiet = quiet
        self.total = self.lost = 0

    async def shell(self, act: str, *args: object, **kwargs: object) -> object:
        return await asyncio.to_thread(self.site.shell.ask, act, *args, **kwargs)

    def page(self, job_id: str) -> SocketPage:
        return SocketPage(self.site.base_url, job_id, ticket_for(job_id))

    async def run(
        self,
        fault: str,
        method: Callable[[list[SocketPage]], Awaitable[None]],
        jobs: int,
        most: int = OPEN_PAGES,
    ):
        """Let the fault happen to `jobs` jobs, `most` at a time; print what was lost."""
        missing, delays, left = 0, [], jobs
        while left > 0:
            ids = await self.shell("create", min(most, left))
            left -= len(ids)
            pages = [self.page(job_id) for job_id in ids]
            await method(pages)
            missing += len(await lost(pages, HEARD_WITHIN))
            for page in pages:
                page.stop()
            delays += sorted(page.delay for page in pages if page.is_ready.is_set())
        delays.sort()
        median, worst = (delays[len(delays) // 2], delays[-1]) if delays else (0, 0)
        say(
            f"{missing:6d} of {jobs:6d}  {fault:<50s} median {median:6.2f} s, worst {worst:6.2f} s"
        )
        self.total, self.lost = self.total + jobs, self.lost + missing

    async def end(self, pages: list[SocketPage]) -> None:
        await self.shell("end", [page.job_id for page in pages])

    async def listen(self, pages: list[SocketPage]) -> None:
        for page in pages:
            page.start()
        async with asyncio.timeout(HEARD_WITHIN):
            await asyncio.gather(*(page.is_listening.wait() for page in pages))

    async def burst(self, pages: list[SocketPage]) -> None:
        await self.listen(pages)
        await self.end(pages)

    async def after_quiet(self, pages: list[SocketPage]) -> None:
        await self.listen(pages)
        await asyncio.sleep(self.quiet)
        await self.end(pages)

    async def before_the_page(self, pages: list[SocketPage]) -> None:
        await self.end(pages)
        await self.listen(pages)

    async def during_the_connect(self, pages: list[SocketPage]) -> None:
        """End them while their pages connect: before, between and just after join and read."""
        ending = asyncio.create_task(self.end(pages))
        await self.listen(pages)
        await ending

    async def connection_killed(self, pages: list[SocketPage]) -> None:
        await self.listen(pages)
        ending = asyncio.create_task(self.end(pages))
        for _ in range(5):
            self.site.client.client_kill_filter(_type="pubsub")
            await asyncio.sleep(0.1)
        await ending

    async def redis_restarted(self, pages: list[SocketPage]) -> None:
        """Kill Redis half-way through the ends; it is empty then, and workers write jobs back."""
        await self.listen(pages)
        half = len(pages) // 2
        await self.end(pages[:half])
        await asyncio.to_thread(self.site.restart_redis)
        await self.shell("restored", [page.job_id for page in pages[half:]])
        await self.end(pages[half:])

    async def server_restarted(self, pages: list[SocketPage]) -> None:
        await self.listen(pages)
        half = len(pages) // 2
        await asyncio.to_thread(self.site.server.stop, 0)
        await self.end(pages[:half])
        await asyncio.to_thread(self.site.start_server)
        await self.end(pages[half:])


async def measure(jobs: int, quiet: float) -> int:
    """Run all faults; return 1 if anything was lost."""
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder) / "db.sqlite3") as site:
        losses = Losses(site, quiet)
        share = max(20, jobs // 20)
        await losses.run("a burst of 1,000 at once", losses.burst, 6 * share)
        await losses.run(f"after {quiet:g} s of quiet", losses.after_quiet, 2 * share, 2 * share)
        await losses.run("completed before the page", losses.before_the_page, 2 * share)
        await losses.run("while the page connects", losses.during_the_connect, 4 * share)
        await losses.run(
            "the layer's connection killed (CLIENT KILL)", losses.connection_killed, 2 * share
        )
        await losses.run("Redis restarted, empty", losses.redis_restarted, 2 * share)
        await losses.run(
            "daphne restarted with 200 open pages",
            losses.server_restarted,
            max(share, jobs - 18 * share),
            RESTARTED,
        )
        say(f"{losses.lost:6d} of {losses.total:6d}  lost in all")
        return int(losses.lost > 0)


def main() -> int:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a twentieth of the jobs, and 6 s of quiet instead of 60",
    )
    options = parser.parse_args()
    started = time.monotonic()
    result = asyncio.run(
        measure(options.jobs // 20 if options.quick else options.jobs, 6 if options.quick else 60)
    )
    say(f"in {time.monotonic() - started:.0f} s")
    return result


if __name__ == "__main__":
    sys.exit(main())
