"""A process with a project's settings, in which a test makes, changes and ends jobs.

`python -m tests.system.harness.project_shell` reads one JSON list `[name, arguments, keywords]` a
line, calls that function of `shell_commands`, and answers with one line of JSON.
"""

import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Self

import django


class ProjectShell:
    """The process, seen from the test: every function of `shell_commands` is a method."""

    def __init__(self, env: dict[str, str]):
        command = [sys.executable, "-m", "tests.system.harness.project_shell"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True)
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.ask(name, *args, **kwargs)

    def ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function in the process, and return its result."""
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps([name, args, kwargs]) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '["error", "it has ended"]')
        assert answer[0] == "done", f"{name}: {answer[1]}"
        return answer[1]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def main() -> None:
    """Answer until the input ends."""
    django.setup()
    commands = importlib.import_module("tests.system.harness.shell_commands")
    for line in sys.stdin:
        name, args, kwargs = json.loads(line)
        try:
            answer = ["done", getattr(commands, name)(*args, **kwargs)]
        except Exception as error:
            answer = ["error", repr(error)]
        finally:
            commands.connections.close_all()
        print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    main()
