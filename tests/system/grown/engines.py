"""The machine's engines, from Debian's packages with the printed configuration, as children."""

import shutil
import signal
import subprocess
from pathlib import Path

import redis

from project.demo.processes import Child
from tests.processes import children
from tests.system.harness.postgres import find_postgres
from tests.system.harness.waiting import until

from .machine import Machine

START_TIMEOUT = 60  # seconds
SENTINELS = (26379, 26380, 26381)
RABBITMQ = Path(
    "/usr/lib/rabbitmq/bin/rabbitmq-server"
)  # the one in /usr/sbin runs as its own user only
PACKAGES = {
    "nginx-light": lambda: shutil.which("nginx", path="/usr/sbin:/usr/bin"),
    "openssl": lambda: shutil.which("openssl"),
    "postgresql": find_postgres,
    "rabbitmq-server": RABBITMQ.exists,
    "redis-sentinel": lambda: shutil.which("redis-sentinel"),
    "redis-server": lambda: shutil.which("redis-server"),
}


def missing() -> list[str]:
    """Return the Debian packages that are not there."""
    return [name for name, find in PACKAGES.items() if not find()]


class RedisPair:
    """A Redis, a replica of it, and three sentinels."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.children: dict[int, Child] = {}

    def start(self) -> None:
        """Start all five, and wait until the sentinels agree."""
        self._start(6379, "redis-server", "redis.conf", "/etc/redis/redis.conf", "Ready to accept")
        self.start_replica()
        for number, port in enumerate(SENTINELS, 1):
            self._start_sentinel(number, port)
        for port in SENTINELS:
            until(lambda port=port: self._agrees(port), START_TIMEOUT)

    def start_replica(self) -> None:
        """Start the second Redis, and wait until it has what the first has."""
        first, second = (str(self.machine.ports[port]) for port in (6379, 6380))

        def change(text: str) -> str:
            moved = text.replace(first, second).replace("/var/lib/redis", "/var/lib/redis-2")
            return f"{moved}replicaof 127.0.0.1 {first}\n"

        self.machine.folder("/var/lib/redis-2")
        self._start(
            6380,
            "redis-server",
            "redis.conf",
            "/etc/redis/redis-2.conf",
            "Ready to accept",
            change,
        )
        with self.client(6380) as replica:
            until(lambda: _follows(replica), START_TIMEOUT)

    def kill_master(self) -> int:
        """Kill the master as a power cut would; return the port under which the files know it."""
        port = next(
            port for port in (6379, 6380) if self.machine.ports[port] == self.master_port()
        )
        self.children.pop(port).stop(grace=0)
        return port

    def revive(self, port: int) -> None:
        """Start a killed one with the file that the sentinels wrote, and wait until it follows."""
        name = "redis" if port == 6379 else "redis-2"
        file = self.machine.path(f"/etc/redis/{name}.conf")
        self.children[port] = self.machine.run(name, ["redis-server", str(file)])
        with self.client(port) as replica:
            until(lambda: _follows(replica), START_TIMEOUT)
        until(lambda: self._agrees(SENTINELS[0]), START_TIMEOUT)

    def master_port(self) -> int:
        """Return the real port of the master, as the first sentinel sees it."""
        with self.client(SENTINELS[0]) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name("waitroom")[1])

    def client(self, port: int) -> redis.Redis:
        """Return a client of the server with this port in the files, to be used by `with`."""
        return redis.Redis(port=self.machine.ports[port], decode_responses=True)

    def stop(self) -> None:
        """Stop all; may be called twice."""
        while self.children:
            self.children.popitem()[1].stop(grace=0)

    def _start_sentinel(self, number: int, port: int) -> None:
        def change(text: str) -> str:
            moved = text.replace("sentinel-1", f"sentinel-{number}")
            return moved.replace(
                str(self.machine.ports[SENTINELS[0]]), str(self.machine.ports[port])
            )

        self.machine.folder(f"/var/lib/sentinel-{number}")
        place = f"/etc/redis/sentinel-{number}.conf"
        self._start(port, "redis-sentinel", "sentinel.conf", place, r"\+monitor master", change)

    def _start(self, port, program, name, place, ready, change=lambda text: text) -> None:
        self.machine.folder("/var/lib/redis")
        file = self.machine.install(name, place, change)
        self.children[port] = self.machine.run(Path(place).stem, [program, str(file)])
        self.children[port].await_line(ready, START_TIMEOUT)

    def _agrees(self, port: int) -> bool:
        with self.client(port) as sentinel:
            seen = sentinel.sentinel_masters()["waitroom"]
        return (seen["num-other-sentinels"], seen["num-slaves"]) == (2, 1)


def _follows(replica: redis.Redis) -> bool:
    try:
        return replica.info("replication").get("master_link_status") == "up"
    except redis.ConnectionError:
        return False


class RabbitMQ:
    """One node, with Erlang's port mapper as our child: RabbitMQ would leave one behind."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.mapper: Child | None = None
        self.child: Child | None = None

    def start(self) -> None:
        """Begin to start it, which takes some seconds; `await_start` waits."""
        names, distribution = (str(self.machine.ports[port]) for port in (4369, 25672))
        folder = self.machine.folder("/var/lib/rabbitmq")
        file = self.machine.install("rabbitmq.conf", "/etc/rabbitmq/rabbitmq.conf")
        env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),  # for the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": names,
            "RABBITMQ_NODENAME": "mysite@localhost",
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE": str(file),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RUNNING_UNDER_SYSTEMD": "1",  # no shell stays between us and it
        }
        if self.mapper is None:
            self.mapper = self.machine.run(
                "epmd", ["epmd", "-port", names, "-address", "127.0.0.1"], env
            )
        self.child = self.machine.run("rabbitmq", [str(RABBITMQ)], env)

    def await_start(self) -> None:
        """Wait until it takes connections."""
        self.child.await_line("Server startup complete", START_TIMEOUT)

    def stop(self, grace: float = 10) -> None:
        """Stop it; it writes down what it has. May be called twice."""
        if self.child:
            self.child.stop(grace)
            self.child = None

    def stop_all(self) -> None:
        """Stop it without its writing anything down, and the port mapper; may be called twice."""
        self.stop(grace=0)
        if self.mapper:
            self.mapper.stop(grace=0)
            self.mapper = None


class Nginx:
    """The proxy, with a certificate of its own."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.child: Child | None = None

    @property
    def certificate(self) -> Path:
        return self.machine.path("/etc/ssl/certs/mysite.pem")

    @property
    def log(self) -> Path:
        """Return its log: a line for each request, and for each socket when it closes."""
        return self.machine.path("/var/log/nginx/access.log")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._certify()
        self.machine.folder("/var/log/nginx")
        self.machine.path("/run").mkdir(exist_ok=True)
        file = self.machine.install("nginx.conf", "/etc/nginx/nginx.conf", self._at_home)
        shutil.copy("/etc/nginx/mime.types", file.parent)
        self.child = self.machine.run(
            "nginx", ["/usr/sbin/nginx", "-c", str(file), "-g", "daemon off;"]
        )
        until(self.machine.path("/run/nginx.pid").exists, START_TIMEOUT)

    def reload(self) -> None:
        """Do what `systemctl reload` does, and wait until its new processes are there."""
        before = {process.pid for process in children(self.child.pid)}
        self.child.signal(signal.SIGHUP)
        until(
            lambda: {process.pid for process in children(self.child.pid)} - before, START_TIMEOUT
        )

    def stop(self) -> None:
        """Stop it; may be called twice."""
        if self.child:
            self.child.stop(grace=2)
            self.child = None

    def _at_home(self, text: str) -> str:
        """Put its temporary folders, which the package chose when it was built, below ours."""
        spool = self.machine.folder("/var/lib/nginx")
        kinds = {
            "client_body": "body",
            "proxy": "proxy",
            "fastcgi": "fastcgi",
            "uwsgi": "uwsgi",
            "scgi": "scgi",
        }
        lines = [f"    {kind}_temp_path {spool}/{name};" for kind, name in kinds.items()]
        return text.replace("http {\n", "\n".join(["http {", *lines, ""]), 1)

    def _certify(self) -> None:
        if self.certificate.exists():
            return
        key = self.machine.path("/etc/ssl/private/mysite.key")
        key.parent.mkdir(parents=True)
        self.certificate.parent.mkdir(parents=True)
        new = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        place = ["-keyout", str(key), "-out", str(self.certificate), "-days", "2"]
        names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*new, *place, *names], check=True, capture_output=True)
