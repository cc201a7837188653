"""Half-open links to Redis: servers' for several durations (F36), a worker's for 75 s (F42).

`python -m tests.system.halfopen 20 60 120` drops real packets, in a network namespace of its own
(unshare, iptables; no rights are needed where users may have namespaces). Elsewhere proxies that
pass nothing replace it. It prints one line of JSON for each number of seconds.
"""

import asyncio
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()  # which the tickets need

from project.demo.processes import Child  # noqa: E402

from .harness.printing import say  # noqa: E402
from .harness.proxy import Packets, Proxy  # noqa: E402
from .harness.site import Site  # noqa: E402
from .harness.socket_page import SocketPage, listening, lost  # noqa: E402
from .harness.tickets import ticket_for  # noqa: E402
from .harness.usage import cpu_seconds  # noqa: E402
from .harness.waiting import eventually, until  # noqa: E402

SILENCES = (20, 60, 120)  # seconds; TCP itself gives a connection up between the first two
CUT_SECONDS = 75  # seconds that a worker is cut off
PAGES = 50  # of each server; a quarter of the jobs ends during the silence, the rest after it
HEALED_WITHIN = 20  # seconds in which all must be well again
PUSHED = 2.0  # seconds; an end that is heard within it came by a push, in six cases of seven
RECONCILE = 15.0  # seconds; RECONCILE_SECONDS, as it is by default
WRITTEN_WITHIN = 25  # seconds in which the store must have what a worker could not write
RESULTS_TIMEOUT = max(SILENCES) + 120  # seconds until all of it must be known

# of Linux, which alone has network namespaces
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
IFF_RUNNING = 0x40

NAMESPACE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
TRIAL = ["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "1", "-j", "DROP"]


def can_drop_packets() -> bool:
    """Say whether we may have a network of our own here, and drop packets in it."""
    try:
        return subprocess.run([*NAMESPACE, *TRIAL], capture_output=True).returncode == 0
    except OSError:
        return False


def bring_loopback_up() -> None:
    """Switch the one interface of a new network on (netdevice(7))."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP | IFF_RUNNING))


async def be_silent(site: Site, seconds: float) -> dict:
    """Cut a server's link for some seconds; return what became of its pages, and what it cost."""
    ids = site.shell.create(PAGES)
    during, after, later = ids[: PAGES // 4], ids[PAGES // 4 : PAGES // 2], ids[PAGES // 2 :]
    async with listening(
        [SocketPage(site.base_url, job_id, ticket_for(job_id)) for job_id in ids]
    ) as pages:
        since, used = time.monotonic(), cpu_seconds(site.server)
        site.proxy.silence()
        await asyncio.sleep(seconds / 2)
        await asyncio.to_thread(site.shell.end, during)
        await asyncio.sleep(seconds / 2)
        site.proxy.speak()
        back = time.monotonic()
        await asyncio.to_thread(site.shell.end, after)
        unheard = await lost(pages[: PAGES // 2], HEALED_WITHIN)
        healed = max(page.ready_at for page in pages[: PAGES // 2]) - back
        await asyncio.sleep(
            max(0.0, back + HEALED_WITHIN - time.monotonic())
        )  # by now the hub hears again
        share = (cpu_seconds(site.server) - used) / (time.monotonic() - since)
        await asyncio.to_thread(site.shell.end, later, every=0.05)
        unheard += await lost(pages, RECONCILE + 2)
        pushed = sum(page.delay < PUSHED for page in pages[PAGES // 2 :])
    return {"lost": len(unheard), "healed": healed, "cpu": share, "pushed": pushed / len(later)}


class CutWorker(Site):
    """A site whose worker reaches the store by the cable; broker and server are not affected."""

    def start_worker(self) -> None:
        with self.through_the_proxy():
            super().start_worker()

    def start_server(self) -> None:
        super(Site, self).start_server()


async def be_cut_off(site: Site, seconds: float) -> dict:
    """Cut a worker off while two jobs end, one of them watched; return how long each step took."""
    gate = Path(site.directory.name) / "gate"
    ids = watched, unread = await asyncio.to_thread(
        site.shell.start_task, "wait_for_file", number=2, path=str(gate)
    )
    async with listening([page := SocketPage(site.base_url, watched, ticket_for(watched))]):
        await eventually(
            lambda: all(state_of(site, job_id) == "running" for job_id in ids), HEALED_WITHIN
        )
        site.proxy.silence()
        gate.write_text("open")
        since = time.monotonic()
        await eventually(
            lambda: {site.shell.archived(job_id) for job_id in ids} == {"complete"}, HEALED_WITHIN
        )
        archived = time.monotonic() - since
        await asyncio.sleep(seconds - archived)
        was_running = state_of(site, unread) == "running"
        site.proxy.speak()
        back = time.monotonic()
        await eventually(lambda: state_of(site, unread) == "complete", WRITTEN_WITHIN)
        stored = time.monotonic() - back
        unheard = await lost([page], 1)
    return {
        "lost": len(unheard),
        "archived": archived,
        "was_running": was_running,
        "stored": stored,
    }


def state_of(site: Site, job_id: str) -> str:
    """Return the stored state, without enforcing the deadline as a reader does."""
    return str(json.loads(site.client.hget(f"jobs:{{{job_id}}}", "state") or '""'))


async def run_one(
    site: Site, seconds: float, happen: Callable[[Site, float], Awaitable[dict]]
) -> None:
    """Run one site from its start to its end, and print what was found."""
    try:
        await asyncio.to_thread(site.start)
        found = await happen(site, seconds)
        say(json.dumps({happen.__name__: seconds, "by": site.cable.__name__, **found}))
    finally:
        await asyncio.to_thread(site.stop)


async def run_all(silences: list[int], cable: type) -> None:
    """Run a site for each silence, all at once."""
    options = {"proxied": True, "cable": cable, "RECONCILE_SECONDS": RECONCILE}
    with TemporaryDirectory(prefix="halfopen-") as name:
        cut = CutWorker(
            Path(name) / "cut.sqlite3", worker=True, HEARTBEAT=2, LOST_AFTER=6, **options
        )
        sites = [
            (Site(Path(name) / f"{seconds:g}.sqlite3", **options), seconds, be_silent)
            for seconds in silences
        ]
        await asyncio.gather(*(run_one(*one) for one in [*sites, (cut, CUT_SECONDS, be_cut_off)]))


class InBackground:
    """All of it in one process beside the tests, started by the first test process; takes minutes.

    `place` is a file that they share.
    """

    def __init__(self, place: Path):
        self.place = place
        self.child: Child | None = None
        with suppress(FileExistsError):
            place.touch(exist_ok=False)
            command = [sys.executable, "-m", "tests.system.halfopen", *map(str, SILENCES)]
            self.child = Child("halfopen", command, on_line=self._keep)

    def line_about(self, happening: Callable, seconds: float) -> str:
        """Wait for what was found about one silence, and return it."""
        start = f'{{"{happening.__name__}": {seconds},'
        return until(
            lambda: [
                line for line in self.place.read_text().splitlines() if line.startswith(start)
            ],
            RESULTS_TIMEOUT,
        )[0]

    def stop(self) -> None:
        """Wait for its end, because others may wait for what it says."""
        if self.child:
            self.child.await_exit(RESULTS_TIMEOUT)
            self.child.stop(grace=0)

    def _keep(self, child: Child, line: str) -> None:
        with self.place.open("a") as file:
            file.write(f"{line}\n")


def main() -> None:
    """Go into a network of our own if we may, and measure there."""
    inside, *silences = sys.argv[1:] if sys.argv[1:2] == ["--inside"] else ["", *sys.argv[1:]]
    if not inside and can_drop_packets():
        command = [sys.executable, "-m", "tests.system.halfopen", "--inside", *silences]
        os.execvp(NAMESPACE[0], [*NAMESPACE, *command])  # noqa: S606
    if inside:
        bring_loopback_up()
    asyncio.run(run_all([int(seconds) for seconds in silences], Packets if inside else Proxy))


if __name__ == "__main__":
    main()
