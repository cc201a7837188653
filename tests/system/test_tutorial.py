"""docs/tutorial.md as printed: from an empty folder and the built wheel to the redirect."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from project.demo.embedded import EmbeddedServer, free_port
from project.demo.processes import Child
from project.demo.visitor import Visitor
from tests.docs.documents import blocks
from tests.factories import eventually
from tests.wheels import clean_environment, give_dependencies

STEPS = blocks("docs/tutorial.md")
SERVE = "python manage.py runserver"
STEP_TIMEOUT = 60  # seconds


class Terminal:
    """A shell in which commands are typed; the first that fails ends it."""

    def __init__(self, folder, env):
        self.shell = subprocess.Popen(
            ["/bin/bash", "-e"], cwd=folder, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def type(self, commands):
        """Run them, and return what they print."""
        self.shell.stdin.write(f"{{\n{commands}}} </dev/null\necho; echo 'the end'\n")
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line == "the end\n":
                return "".join(lines)
            lines.append(line)
        pytest.fail("".join(lines))

    def close(self):
        """End the shell."""
        self.shell.communicate()


@contextmanager
def terminal_of_its_own(name, folder, commands, env):
    """Run commands until the end of the block."""
    child = Child(name, ["/bin/bash", "-c", f"cd {folder}\n{commands}"], env)
    try:
        yield child
    finally:
        child.stop(grace=5)


@pytest.fixture
def tutorial(wheel, tmp_path):
    """Follow the tutorial; return the server's address and the output, while everything runs."""
    with ExitStack() as stack:
        redis = stack.enter_context(EmbeddedServer())
        python = Path(sys.executable).resolve().parent  # of this run
        path = f"{python}{os.pathsep}{os.environ['PATH']}"
        offline = {
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_FIND_LINKS": str(wheel.parent),
            "PIP_NO_COLOR": "1",
        }
        env = clean_environment(PATH=path, REDIS_URL=redis.url, PYTHONUNBUFFERED="1", **offline)
        terminal = Terminal(tmp_path, env)
        stack.callback(terminal.close)
        project, port, printed, children = tmp_path / "tutorial", free_port(), [], []
        for step in STEPS:
            if step.file:
                step.write(project)
            elif step.is_terminal:
                commands = step.text.replace(
                    SERVE, f"{SERVE} {port}"
                )  # the usual one may be taken
                children.append(
                    stack.enter_context(terminal_of_its_own("it", project, commands, env))
                )
            else:
                printed.append(terminal.type(step.text))
            if "pip install" in step.text:
                give_dependencies(project / ".venv")
        yield f"http://127.0.0.1:{port}", "\n".join(printed), children


@pytest.fixture
def visitor(tutorial):
    """Somebody with a browser, as soon as the server answers."""
    address, _printed, children = tutorial
    visitor = Visitor(address)

    def answers():
        assert not any(child.has_ended for child in children), [
            child.last_words for child in children
        ]
        try:
            return visitor.client.get("/").status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers, STEP_TIMEOUT)
    yield visitor
    visitor.close()


@pytest.mark.timeout(240)
def test_who_follows_the_tutorial_is_sent_on_when_the_report_is_ready(tutorial, visitor):
    address, printed, children = tutorial
    assert "System check identified no issues" in printed and "Ran 2 tests" in printed, printed
    visitor.visit("/")
    waiting_page = visitor.submit(visitor.form_to("/export/"))
    heard = listen(address, waiting_page, visitor.cookies)
    assert heard[-1] == "ready" and heard.count("progress") >= 10, (
        heard,
        [child.last_words for child in children],
    )
    visitor.visit(waiting_page)
    visitor.visit(visitor.submit(visitor.form_to("/ready/")))
    assert visitor.address == "/" and "report-2026.csv is ready." in visitor.page.texts
    visitor.visit("/")
    assert "report-2026.csv is ready." not in visitor.page.texts
    assert (
        visitor.client.get("/static/jobs/waiting.js")
        .headers["Content-Type"]
        .startswith("text/javascript")
    )


def listen(address, waiting_page, cookies):
    """Return the events of the job up to its end, from the socket of its page."""
    url = f"{address.replace('http', 'ws', 1)}/ws{waiting_page}"
    heard = []
    with connect(
        url, origin=address, additional_headers={"Cookie": cookies}, proxy=None
    ) as socket:
        while not {"ready", "failed", "expired"} & set(heard):
            heard.append(json.loads(socket.recv(timeout=STEP_TIMEOUT))["event"])
    return heard


def test_the_tutorial_has_all_its_steps():
    assert len([step for step in STEPS if step.file]) == 10
    assert len([step for step in STEPS if step.is_terminal]) == 2
    assert {Path(step.file).suffix for step in STEPS if step.file} == {".py", ".html"}
