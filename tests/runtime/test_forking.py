"""A process does not fork while one of its threads uses a database connection."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, threading
from jobs.runtime import forking
from jobs.runtime.forking import no_fork

forking.FORK_WAIT = {patience}
is_held, may_end, said = threading.Event(), threading.Event(), []

def use_a_connection():
    with no_fork():
        is_held.set()
        may_end.wait()
        said.append("closed")

thread = threading.Thread(target=use_a_connection)
thread.start()
is_held.wait()
if {is_ended_in_time}:
    threading.Timer(0.2, may_end.set).start()
child = os.fork()
if child == 0:
    with no_fork():  # the child has a lock of its own
        os.write(1, repr(said).encode())
        os._exit(0)
os.waitpid(child, 0)
may_end.set()
thread.join()
with no_fork():
    pass
"""


@pytest.mark.parametrize(("is_ended_in_time", "said"), [(True, "['closed']"), (False, "[]")])
def test_a_fork_waits_a_limited_time_for_a_database_connection(is_ended_in_time, said):
    script = SCRIPT.format(
        patience=5 if is_ended_in_time else 0.2, is_ended_in_time=is_ended_in_time
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    assert (
        subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
        == said
    )
