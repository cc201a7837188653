"""The doctor and the health view against processes that really run, and that really break."""

import subprocess

import pytest

from project.demo.processes import manage
from tests.system.harness.stack import paused

STEPS = [
    "settings",
    "store",
    "archive",
    "broker",
    "tasks",
    "worker",
    "layer",
    "socket",
    "origin",
    "static",
]


def doctor(stack, *arguments):
    """Return its exit code and its lines by step: (mark, text)."""
    done = subprocess.run(
        manage("jobs_doctor", *arguments),
        env=stack.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    return (
        done.returncode,
        {head.split()[1]: (head.split()[0], text) for head, _, text in lines},
        done.stderr,
    )


def wrong(lines):
    return [step for step, (mark, _text) in lines.items() if mark == "wrong"]


def test_a_stack_in_which_all_is_well_passes(stack):
    code, lines, errors = doctor(stack, "--url", stack.base_url)
    assert (code, wrong(lines), list(lines)) == (0, [], STEPS), lines
    assert lines["origin"][1].endswith("(4400)") and stack.base_url in lines["socket"][1]
    assert not errors


def test_without_an_address_the_socket_is_left_out(stack):
    code, lines, _errors = doctor(stack)
    assert code == 0 and wrong(lines) == []
    assert lines["socket"] == ("left", "not tried; give the public address with --url")


def test_each_part_that_is_missing_is_named(own_stack):
    own_stack.worker.stop(grace=0)
    code, lines, errors = doctor(own_stack, "--url", own_stack.base_url)
    assert (code, wrong(lines)) == (1, ["worker"])
    own_stack.server.stop(grace=0)
    code, lines, errors = doctor(own_stack, "--url", own_stack.base_url)
    assert (code, wrong(lines)) == (1, ["worker", "socket", "origin", "static"])
    own_stack.redis.stop()
    code, lines, errors = doctor(own_stack)
    assert (code, wrong(lines)) == (1, ["store", "broker", "worker", "layer"])
    assert errors.endswith("CommandError: Wrong: store, broker, worker, layer.\n")


@pytest.mark.timeout(180)
def test_a_redis_that_hangs_does_not_hang_the_doctor(own_stack):
    with paused(own_stack.redis.child):
        code, lines, _errors = doctor(own_stack)
    assert (code, wrong(lines)) == (1, ["store", "broker", "worker", "layer"])
    assert "\n" not in "".join(text for _mark, text in lines.values())


def test_another_server_s_secret_or_redis_is_noticed(stack):
    own = {**stack.env, "SECRET_KEY": "another"}
    command = manage("jobs_doctor", "--url", stack.base_url)
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Do all processes have the same SECRET_KEY?" in done.stdout
