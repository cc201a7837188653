"""All of it: engines, three server processes behind nginx, two workers."""

import json
import shutil
import ssl
import tempfile
from pathlib import Path

import httpx

from project.demo.processes import Child, manage
from tests.system.harness.postgres import PostgreSQL
from tests.system.harness.project_shell import ProjectShell
from tests.system.harness.waiting import until

from .engines import Nginx, RabbitMQ, RedisPair
from .machine import Machine, Unit, link_environment

COMMAND_TIMEOUT = 60  # seconds
READY_TIMEOUT = 60
LIMITS = {"LOST_AFTER": 20, "HEARTBEAT": 2, "RECONCILE_SECONDS": 3}


class Fleet:
    """The machine and all that runs on it; `servers` and `workers` are the units, by instance."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grown-"))
        self.folder.chmod(0o755)  # some engines run as users of their own
        self.machine = machine = Machine(self.folder)
        self.database = PostgreSQL(machine.path("/var/lib/postgresql"), machine.ports[5432])
        self.redis = RedisPair(machine)
        self.broker = RabbitMQ(machine)
        self.proxy = Nginx(machine)
        ports = machine.ports
        self.servers = {
            8001: Unit(machine, "mysite-daphne@.service", ports[8001]),
            8002: Unit(machine, "mysite-daphne@.service", ports[8002]),
            8003: Unit(machine, "mysite-uvicorn@.service", ports[8003]),
        }
        self.workers = {name: Unit(machine, "mysite-worker@.service", name) for name in ("1", "2")}
        self.shell: ProjectShell | None = None

    @property
    def base_url(self) -> str:
        return self.machine.base_url

    @property
    def printed(self) -> list[str]:
        return self.machine.printed

    @property
    def tls(self) -> ssl.SSLContext:
        """Return what trusts the proxy's certificate."""
        return ssl.create_default_context(cafile=str(self.proxy.certificate))

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of commands: what the units read, and a trust in the proxy."""
        return {**self.machine.env, "SSL_CERT_FILE": str(self.proxy.certificate)}

    def start(self) -> None:
        """Start what is slowest first, and everything at the same time where it can be."""
        settings = self.machine.install("settings.py", "/srv/settings.py")
        self.machine.extra_env |= {
            "PRINTED_SETTINGS": str(settings),
            "JOBS_SETTINGS": json.dumps(LIMITS),
        }
        link_environment(self.machine)
        self.broker.start()
        self.redis.start()
        self.database.start()
        self.proxy.start()
        self.manage("migrate", "--no-input", "--verbosity", "0")
        self.manage("collectstatic", "--no-input", "--verbosity", "0")
        for server in self.servers.values():
            server.start()
        self.broker.await_start()
        for worker in self.workers.values():
            worker.start()
        self.shell = ProjectShell(self.env)
        for port in self.servers:
            self.await_server(port)
        for name in self.workers:
            self.await_worker(name)

    def stop(self) -> None:
        """Stop all of it; may be called twice."""
        if self.shell:
            self.shell.close()
            self.shell = None
        for unit in (*self.servers.values(), *self.workers.values()):
            unit.kill()
        for engine in (self.proxy, self.database, self.redis):
            engine.stop()
        self.broker.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def manage(self, *arguments: str) -> list[str]:
        """Run a management command to its end, and return what it printed."""
        child = self.machine.run(arguments[0], manage(*arguments), self.env)
        try:
            child.await_success(COMMAND_TIMEOUT)
        finally:
            child.stop(grace=0)
        return list(child.lines)

    def await_server(self, port: int) -> None:
        """Wait until a server process answers, asked itself."""
        until(lambda: self._answers(port), READY_TIMEOUT)

    def await_worker(self, name: str) -> Child:
        """Wait until a worker takes messages."""
        child = self.workers[name].child
        child.await_line(r" ready\.$", READY_TIMEOUT)
        return child

    def restart_server(self, port: int) -> bool:
        """Do what `systemctl restart` does; return whether the old process ended by itself."""
        ended = self.servers[port].stop()
        self.servers[port].start()
        self.await_server(port)
        return ended

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Get a page over the proxy."""
        return httpx.get(
            self.base_url + path, headers=headers, verify=self.tls, trust_env=False, timeout=20
        )

    def watches(self, port: int) -> bool:
        """Say whether a server process has pages open and hears what is pushed to them."""
        return httpx.get(self._health_of(port), trust_env=False).json()["hub"] == "ok"

    def _health_of(self, port: int) -> str:
        return f"http://127.0.0.1:{self.machine.ports[port]}/health/"

    def _answers(self, port: int) -> bool:
        try:
            return httpx.get(self._health_of(port), trust_env=False).status_code == 200
        except httpx.TransportError:
            return False
