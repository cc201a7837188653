"""A server whose link to Redis goes silent for a while, several of them at once, each for another time (F36).

`python -m tests.live.halfopen 20 60 120` drops real packets, in a network namespace of its own (unshare, iptables; no
rights are needed where users may have namespaces). Where there is none, proxies that pass nothing stand in for it. It
prints one line of JSON for each number of seconds.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()  # which the tickets need

from .pages import Page, listening, lost, say  # noqa: E402
from .proxy import Packets, Proxy  # noqa: E402
from .site import Site, cpu_seconds, ticket_for  # noqa: E402

PAGES = 50  # of each server; a quarter of the jobs ends during the silence, the rest after it
PATIENCE = 20  # seconds in which all must be well again
PUSHED = 1.0  # seconds; a page that hears of an end within it was told by a push
R = 5.0  # seconds; RECONCILE_SECONDS here

NAMESPACE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
TRIAL = "ip link set lo up && iptables -A INPUT -p tcp --dport 1 -j DROP"


def can_drop_packets() -> bool:
    """Say whether we may have a network of our own here, and drop packets in it."""
    try:
        return subprocess.run([*NAMESPACE, "sh", "-c", TRIAL], capture_output=True).returncode == 0
    except OSError:
        return False


async def be_silent(site: Site, seconds: float) -> dict:
    """Cut a server's link for so many seconds; return what became of its pages, and what it cost."""
    ids = site.hands.create(PAGES)
    during, after, later = ids[: PAGES // 4], ids[PAGES // 4 : PAGES // 2], ids[PAGES // 2 :]
    async with listening([Page(site.base_url, job_id, ticket_for(job_id)) for job_id in ids]) as pages:
        since, used = time.monotonic(), cpu_seconds(site.server)
        site.proxy.silence()
        await asyncio.sleep(seconds / 2)
        await asyncio.to_thread(site.hands.end, during)
        await asyncio.sleep(seconds / 2)
        site.proxy.speak()
        back = time.monotonic()
        await asyncio.to_thread(site.hands.end, after)
        unheard = await lost(pages[: PAGES // 2], PATIENCE)
        healed = max(page.ready_at for page in pages[: PAGES // 2]) - back
        await asyncio.sleep(max(0.0, back + PATIENCE - R - time.monotonic()))  # by now the hub hears again
        share = (cpu_seconds(site.server) - used) / (time.monotonic() - since)
        await asyncio.to_thread(site.hands.end, later, every=0.05)
        unheard += await lost(pages, R + 2)
        pushed = sum(page.delay < PUSHED for page in pages[PAGES // 2 :])
    return {"lost": len(unheard), "healed": healed, "cpu": share, "pushed": pushed / len(later)}


async def run_one(folder: Path, seconds: float, cable: type) -> None:
    """Run one site from its start to its end, and print what was found."""
    site = Site(folder / f"{seconds:g}.sqlite3", proxied=True, cable=cable, RECONCILE_SECONDS=R)
    try:
        await asyncio.to_thread(site.start)
        say(json.dumps({"silent": seconds, "by": cable.__name__, **await be_silent(site, seconds)}))
    finally:
        await asyncio.to_thread(site.stop)


async def run_all(silences: list[float], cable: type) -> None:
    """Run a site for each silence, all at once."""
    with TemporaryDirectory(prefix="halfopen-") as folder:
        await asyncio.gather(*(run_one(Path(folder), seconds, cable) for seconds in silences))


def main() -> None:
    """Go into a network of our own if we may, and measure there."""
    inside, *silences = sys.argv[1:] if sys.argv[1:2] == ["--inside"] else ["", *sys.argv[1:]]
    if not inside and can_drop_packets():
        command = [sys.executable, "-m", "tests.live.halfopen", "--inside", *silences]
        os.execvp("unshare", [*NAMESPACE, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command])  # noqa: S606
    asyncio.run(run_all([float(seconds) for seconds in silences], Packets if inside else Proxy))


if __name__ == "__main__":
    main()
