"""A second project runs on the same Redis under the same names: its processes say so."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import redis

from tests.factories import eventually

from .test_doctor import doctor

WORKER = [
    sys.executable,
    "-m",
    "celery",
    "-A",
    "project",
    "worker",
    "--pool",
    "solo",
    "--queues",
    "of-the-second",
]
SAID = (
    "another project ('project') uses this Redis under the prefix 'jobs'. "
    "Give one of them another JOBS['PREFIX']"
)


@pytest.fixture
def second_env(stack, tmp_path):
    """Return the environment of a project with the same Redis, but its own key and database."""
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        eventually(lambda: client.exists("jobs:project"), 20)
    return {
        **stack.env,
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "SECRET_KEY": "of-the-second",
    }


def test_h20_a_worker_of_a_second_project_says_so(second_env):
    with subprocess.Popen(
        WORKER, env=second_env, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    ) as worker:
        try:
            lines = iter(worker.stdout.readline, "")
            assert next(line for line in lines if SAID in line)
        finally:
            worker.kill()


def test_h20_the_doctor_of_a_second_project_fails(stack, second_env):
    code, lines, _errors = doctor(SimpleNamespace(env=second_env))
    mark, text = lines["store"]
    assert (code, mark) == (1, "wrong") and "Another project ('project')" in text
    code, lines, _errors = doctor(stack)
    assert lines["store"][0] != "wrong"
