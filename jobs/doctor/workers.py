"""Steps: the broker, and workers that know all job tasks, serve their queues and use our Redis."""

from jobs.exceptions import StoreUnavailable
from jobs.queues.celery import inspection
from jobs.store import server

from . import step
from .step import StepFailed, bounded

Workers = dict[str, inspection.Worker]


def try_broker() -> str:
    """Connect to Celery's broker."""
    try:
        return f"reached {bounded(inspection.ask_broker)}"
    except TimeoutError as error:
        text = f"No connection within {step.STEP_TIMEOUT:g} s."
        raise StepFailed(text, "It hangs, or a firewall swallows the packets.") from error
    except inspection.ClusterFound as error:
        text = "It is a node of a Redis Cluster, which Celery does not support."
        advice = "Give Celery a single Redis, one with sentinels, or RabbitMQ."
        raise StepFailed(text, advice) from error
    except Exception as error:
        advice = "Start the broker, or correct CELERY_BROKER_URL."
        raise StepFailed(f"No connection: {error}.", advice) from error


def try_workers() -> str:
    """Ask all workers what they know, and check that each job task has one that can run it."""
    workers = _ask_workers()
    _require_present_code(workers)
    _require_our_store(workers)
    for queue, tasks in _tasks_by_queue().items():
        _require_worker_of(queue, tasks, workers)
        _require_tasks_known(queue, tasks, workers)
    return f"{', '.join(sorted(workers))} answered"


def _ask_workers() -> Workers:
    try:
        workers = bounded(inspection.ask_workers, extra=inspection.ANSWER_TIMEOUT)
    except Exception as error:
        text = f"No worker could be asked: {error or type(error).__name__}."
        raise StepFailed(text, "See the step broker.") from error
    if not workers:
        advice = (
            "Start one: celery -A <project> worker. "
            "A busy worker whose pool is its own process cannot answer."
        )
        raise StepFailed(f"No worker answered within {inspection.ANSWER_TIMEOUT:g} s.", advice)
    return workers


def _require_present_code(workers: Workers) -> None:
    known = set().union(*(worker.tasks for worker in workers.values()))
    if unknown := set(inspection.job_tasks()) - known:
        text = f"No worker knows {', '.join(sorted(unknown))}."
        raise StepFailed(text, "Restart the workers with the present code.")


def _require_our_store(workers: Workers) -> None:
    """Fail if a worker keeps jobs elsewhere, because it never finds ours and their pages wait."""
    try:
        ours = server.identity()
    except StoreUnavailable:
        return  # the step `store` says so
    if others := [name for name, worker in workers.items() if worker.store not in ("", ours)]:
        text = (
            f"{', '.join(sorted(others))} keeps jobs in another Redis, "
            "or under another prefix, than this process."
        )
        advice = "Give all processes the same JOBS: the same settings module and environment."
        raise StepFailed(text, advice)


def _tasks_by_queue() -> dict[str, list[str]]:
    queues: dict[str, list[str]] = {}
    for name, task in inspection.job_tasks().items():
        try:
            queue = inspection.queue_of(task)
        except KeyError as error:
            advice = "Add the queue to CELERY_TASK_QUEUES, or correct the route."
            raise StepFailed(f"{name} cannot be sent: {error.args[0]}.", advice) from error
        if queue:
            queues.setdefault(queue, []).append(name)
    return queues


def _require_worker_of(queue: str, tasks: list[str], workers: Workers) -> None:
    served = set().union(*(worker.queues for worker in workers.values()))
    if queue in served:
        return
    text = f"No worker takes from the queue {queue!r}, to which {', '.join(tasks)} is sent."
    advice = (
        f"Start a worker with -Q {queue}, or add the queue to those of a running worker: "
        f"-Q {','.join(sorted({queue} | served))}."
    )
    raise StepFailed(text, advice)


def _require_tasks_known(queue: str, tasks: list[str], workers: Workers) -> None:
    """Fail if a worker takes messages of tasks that it does not know, because it drops them."""
    for name, worker in workers.items():
        if queue not in worker.queues:
            continue
        if unknown := [task for task in tasks if task not in worker.tasks]:
            text = (
                f"{name} takes from the queue {queue!r} and does not know "
                f"{', '.join(unknown)}: it drops such jobs."
            )
            advice = (
                "Restart it with the present code. "
                "If it is another project's worker, give it other queues (-Q)."
            )
            raise StepFailed(text, advice)
