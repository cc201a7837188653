"""Steps of a worker's parent process, played in the test's own process."""

from jobs.queues.celery.endings import parent_thread
from tests.factories import again


def run_by(request, job, pid=4711):
    """Let a process of the worker start the job."""
    request.worker_pid = pid
    running = again(job)
    running.start(request.runner)
    return running


def after_the_parent_thread(look):
    """Wait until the parent's thread has done all its work, then look."""
    parent_thread().submit(lambda: None).result(5)
    return look()
