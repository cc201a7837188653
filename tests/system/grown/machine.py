"""A folder that stands for a whole machine: has the files of docs/grown/, and runs their units.

Only places differ from the printed files: paths lie below the folder, ports are free ones, and the
host is 127.0.0.1. A unit is stopped the way systemd does it.
"""

import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from configparser import RawConfigParser
from contextlib import ExitStack
from pathlib import Path

from project.demo.processes import ROOT, Child

FILES = ROOT / "docs" / "grown"
HOST = "mysite.test"
PORTS = (80, 443, 4369, 5432, 5672, 6379, 6380, 8001, 8002, 8003, 25672, 26379, 26380, 26381)
PATH = re.compile(r"(?<![\w/.:])/(etc|run|srv|var)/")


class Machine:
    """Where everything is; `printed` are the last lines of all that ran."""

    def __init__(self, root: Path):
        self.root = root
        self.printed: list[str] = []
        self.extra_env: dict[str, str] = {}
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))

    @property
    def base_url(self) -> str:
        return f"https://127.0.0.1:{self.ports[443]}"

    def path(self, name: str) -> Path:
        """Return where something of the printed machine is."""
        return self.root / name.lstrip("/")

    def printed_file(self, name: str) -> str:
        """Return the text of a file of docs/grown/, with this machine's paths, ports and host."""
        text = PATH.sub(lambda found: f"{self.root}{found[0]}", (FILES / name).read_text())
        text = re.sub(
            r"(?<![\d.])\d+(?![\d.])",
            lambda found: str(self.ports.get(int(found[0]), found[0])),
            text,
        )
        return text.replace(HOST, "127.0.0.1")

    def install(
        self, name: str, place: str, change: Callable[[str], str] = lambda text: text
    ) -> Path:
        """Put a file where its first line says that it belongs, or elsewhere; return the path."""
        path = self.path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(change(self.printed_file(name)))
        return path

    def folder(self, name: str) -> Path:
        """Make a folder that everybody may enter, as the engines run as users of their own."""
        path = self.path(name)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        return path

    def run(self, name: str, command: Iterable[str], env: dict[str, str] | None = None) -> Child:
        """Start a child whose lines are kept."""
        return Child(
            name,
            list(command),
            env,
            lambda child, line: self.printed.append(f"{child.name:>10} | {line}"),
        )

    @property
    def env(self) -> dict[str, str]:
        """Return the environment that the units read, for commands beside them."""
        lines = self.printed_file("mysite.env").splitlines()
        given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        paths = f"{self.path('/srv/mysite')}:{ROOT}"
        return {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": paths,
            **self.extra_env,
            **given,
        }


class Unit:
    """A systemd unit of docs/grown/, one instance of it."""

    def __init__(self, machine: Machine, name: str, instance: str | int):
        self.name = f"{name.removeprefix('mysite-').removesuffix('@.service')}@{instance}"
        self.machine = machine
        self.instance = str(instance)
        parser = RawConfigParser(strict=False)
        parser.optionxform = str
        parser.read_string(machine.printed_file(name))
        self.service = parser["Service"]
        self.child: Child | None = None

    @property
    def command(self) -> list[str]:
        """Return the command line, with the specifiers filled in."""
        words = shlex.split(self.service["ExecStart"])
        specifiers = {"%i": self.instance, "%H": socket.gethostname()}
        return [re.sub("%[iH]", lambda found: specifiers[found[0]], word) for word in words]

    def start(self) -> Child:
        """Start it, in its folder."""
        place = ["env", "-C", self.service["WorkingDirectory"]]
        self.child = self.machine.run(self.name, [*place, *self.command], self.machine.env)
        return self.child

    def stop(self) -> bool:
        """Ask it to end and wait as long as the unit says; return whether it ended by itself."""
        if self.service.get("KillMode", "control-group") == "mixed":
            self.child.signal(signal.SIGTERM)
        else:
            os.killpg(self.child.pid, signal.SIGTERM)
        ended = self.child.await_exit(float(self.service["TimeoutStopSec"]))
        self.child.stop(grace=0)
        return ended

    def kill(self) -> None:
        """End it at once; may be called twice."""
        if self.child:
            self.child.stop(grace=0)


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listened on a moment ago, all different."""
    with ExitStack() as stack:
        probes = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)
        ]
        return [probe.getsockname()[1] for probe in probes]


def link_environment(machine: Machine) -> None:
    """Let the virtual environment of the printed machine be the one that runs the tests."""
    place = machine.path("/srv/mysite")
    place.mkdir(parents=True, exist_ok=True)
    (place / ".venv").symlink_to(Path(sys.prefix))
    (place / "mysite").symlink_to(Path(__file__).parent / "mysite")
