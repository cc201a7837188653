"""A MariaDB of the test's own, from the system's packages, on a free loopback port."""

import os
import shutil
import subprocess
from pathlib import Path

from project.demo.processes import Child

START_TIMEOUT = 60  # seconds
PLACES = "/usr/sbin:/usr/bin"
NOBODY = "nobody"
# nothing outlives the test
QUICK = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--skip-log-bin")


def find_mariadb() -> str | None:
    """Return the server's binary, or None where there is none."""
    return shutil.which("mariadbd", path=PLACES)


class MariaDB:
    """A server with one user without a password, and one database; `folder` is made for it."""

    def __init__(self, folder: Path, port: int, name: str = "mysite"):
        self.folder = folder
        self.port = port
        self.name = name
        self.child: Child | None = None

    @property
    def url(self) -> str:
        return f"mysql://{self.name}@127.0.0.1:{self.port}/{self.name}"

    def start(self) -> None:
        """Make the data folder if there is none, start the server, and wait for its port."""
        if not self.folder.exists():
            self._make()
        options = [
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.folder / 'socket'}",
        ]
        command = [
            find_mariadb(),
            "--no-defaults",
            *self._common,
            *options,
            f"--init-file={self.folder / 'init.sql'}",
        ]
        self.child = Child("mariadb", [*command, "--log-warnings=0", *QUICK])
        self.child.await_line("ready for connections", START_TIMEOUT)

    def stop(self) -> None:
        """Stop it; may be called twice."""
        if self.child:
            self.child.stop(grace=0)
            self.child = None

    @property
    def _common(self) -> list[str]:
        user = [f"--user={NOBODY}"] if os.getuid() == 0 else []
        return [f"--datadir={self.folder / 'data'}", *user]

    def _make(self) -> None:
        self.folder.mkdir(parents=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, NOBODY)
        install = [shutil.which("mariadb-install-db", path=PLACES), "--no-defaults", *self._common]
        subprocess.run(
            [*install, "--auth-root-authentication-method=normal"], check=True, capture_output=True
        )
        statements = [
            f"CREATE DATABASE IF NOT EXISTS {self.name} CHARACTER SET utf8mb4;",
            f"CREATE USER IF NOT EXISTS '{self.name}'@'127.0.0.1';",
            f"GRANT ALL ON *.* TO '{self.name}'@'127.0.0.1';",
        ]
        (self.folder / "init.sql").write_text("\n".join(statements) + "\n")
