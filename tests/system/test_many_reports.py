"""5,000 progress calls in a second: few frames, the last one arrives, the task stays fast."""

import json
import subprocess
import sys

import pytest

from tests.system.harness.stack import LiveStack

CALLS = 5_000
SECOND = 0.98  # which leaves each write the milliseconds by which another may be sooner
START = """
import django; django.setup()
from django.contrib.auth import get_user_model
from tests.system.projects.speedjobs.tasks import sprint
owner = get_user_model().objects.get(username="ada")
print(sprint.submit_job(None, [%d], owner=owner, countdown=4).id)
"""
RESULT = """
import django, json; django.setup()
from jobs.repository import JobRepository
print(json.dumps(dict(JobRepository().find("%s").data)))
"""


@pytest.fixture
def speedy_stack(prepared_database):
    """Return the project with the task that reports a lot."""
    stack = LiveStack(prepared_database)
    stack.extra_env["DJANGO_SETTINGS_MODULE"] = "tests.system.projects.speedjobs.settings"
    with stack:
        yield stack


def ask(stack, script):
    """Have a process with the stack's settings run a script, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", script], env=stack.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def frames_of(stack, job_id):
    """Follow a job until it is ready; return when progress was written (Redis), and the last."""
    client = stack.logged_in_client("ada")
    times, last = [], None
    async with stack.socket(client, f"/ws/jobs/{job_id}/") as socket:
        async for text in socket:
            frame = json.loads(text)
            if frame["event"] == "progress":
                times.append(frame["job"]["version"] / 1e6)
                last = frame["job"]["progress"]
            elif frame["event"] == "ready":
                return times, last, frame["job"]["progress"]
    return times, last, None


async def test_five_thousand_calls_in_a_second_are_ten_frames_and_cost_little(speedy_stack):
    job_id = ask(speedy_stack, START % CALLS)
    times, _last, end = await frames_of(speedy_stack, job_id)
    told = json.loads(ask(speedy_stack, RESULT % job_id))
    most = max(sum(1 for other in times if 0 <= other - time < SECOND) for time in times)
    slower = told["whole"] / told["working"] - 1
    figures = (
        f"{len(times)} frames, {most} in a second, {told['lasted']:.2f} s, slower by {slower:.1%}"
    )
    assert most <= 10, figures
    assert end["current"] == CALLS and end["message"] == f"step {CALLS}", figures
    assert slower < 0.2, figures
    assert len(times) >= 3, figures
