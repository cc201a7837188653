"""A PostgreSQL of the test's own, from Debian's packages, on a free loopback port."""

import os
import shutil
import signal
from pathlib import Path

from project.demo.processes import Child

PLACES = "/usr/lib/postgresql/*/bin"  # Debian's
START_TIMEOUT = 30  # seconds
# it refuses to run as root
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
# nothing in it outlives the test
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def find_postgres() -> Path | None:
    """Return the folder of its newest binaries, or None where there is none."""
    folders = [*sorted(Path("/").glob(PLACES[1:])), *filter(None, [shutil.which("postgres")])]
    homes = [
        folder if (folder := Path(place)).is_dir() else folder.resolve().parent
        for place in folders
    ]
    return max((home for home in homes if (home / "initdb").exists()), default=None)


class PostgreSQL:
    """A cluster with one user, password and database, all given; `folder` is made for it."""

    def __init__(self, folder: Path, port: int, name: str = "mysite", password: str = "secret"):  # noqa: S107 - a test password
        self.folder = folder
        self.port = port
        self.name = name
        self.password = password
        self.child: Child | None = None

    @property
    def url(self) -> str:
        return f"postgres://{self.name}:{self.password}@127.0.0.1:{self.port}/{self.name}"

    def start(self) -> None:
        """Make the cluster if there is none, start it, and wait until it takes connections."""
        if not self.folder.exists():
            self._make()
        options = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            *QUICK,
        ]
        command = [
            self._binary("postgres"),
            "-D",
            self.data,
            *(word for option in options for word in ("-c", option)),
        ]
        self.child = Child("postgres", self._as_nobody(command))
        self.child.await_line("ready to accept connections", START_TIMEOUT)

    def stop(self) -> None:
        """Stop it without waiting for those who are connected; may be called twice."""
        if self.child:
            self.child.signal(signal.SIGINT)
            self.child.await_exit(10)
            self.child.stop(grace=0)
            self.child = None

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def _make(self) -> None:
        self.folder.mkdir(parents=True)
        secret = self.folder / "secret"
        secret.write_text(self.password)
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
            shutil.chown(secret, "nobody")
        options = [
            "-D",
            self.data,
            "-U",
            self.name,
            "--pwfile",
            str(secret),
            "--auth=scram-sha-256",
            "--no-sync",
        ]
        self._await([self._binary("initdb"), *options, "--encoding=UTF8", "--locale=C"])
        self._await(
            [self._binary("postgres"), "--single", "-D", self.data, "postgres"],
            f"CREATE DATABASE {self.name};",
        )

    def _await(self, command: list[str], text: str = "") -> None:
        """Run a command to its end."""
        given = (
            ["sh", "-c", 'printf "%s\\n" "$0" | "$@"', text, *self._as_nobody(command)]
            if text
            else None
        )
        child = Child(Path(command[0]).name, given or self._as_nobody(command))
        try:
            child.await_success(START_TIMEOUT)
        finally:
            child.stop(grace=0)

    def _binary(self, name: str) -> str:
        return str(find_postgres() / name)

    def _as_nobody(self, command: list[str]) -> list[str]:
        return [*NOBODY, *command] if os.getuid() == 0 else command
