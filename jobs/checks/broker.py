"""System checks of Celery's broker: its address, its timeouts, and when it delivers again."""

from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Hazard

from jobs.queues.celery import inspection

# Names of Celery's transports
REDIS = ("redis", "rediss", "sentinel")
RABBITMQ = ("amqp", "amqps", "pyamqp")


def check_broker(**_: Any) -> list[CheckMessage]:
    """Check that the broker has an address, and that it cannot block a view without end.

    A Redis without a timeout can do that, and a RabbitMQ that has to confirm each message.
    """
    try:
        transport, options = inspection.broker_options()
    except ValueError as error:
        hint = (
            "Write it like redis://user:password@host:6379/0 "
            "or amqp://user:password@host:5672/vhost."
        )
        return [Error(f"{error}.", hint=hint, id="jobs.E009")]
    missing = _missing_timeouts(transport, options)
    if not missing:
        return []
    text = "The broker has no timeout: if it hangs, every view that starts a job hangs with it."
    return [Hazard(text, hint=f"CELERY_BROKER_TRANSPORT_OPTIONS = {missing}", id="jobs.W006")]


def check_redelivery(**_: Any) -> list[CheckMessage]:
    """Warn if Redis may deliver the message of a task with `acks_late` again while it runs.

    The check sees the tasks that have been imported so far. In a worker those are all tasks.
    """
    try:
        transport, options = inspection.broker_options()
    except ValueError:
        return []  # jobs.E009 says so
    late = {name: task for name, task in inspection.job_tasks().items() if task.acks_late}
    if transport not in REDIS or not late:
        return []
    longest = max((task.time_limit for task in late.values() if task.time_limit), default=0)
    timeout = options.get("visibility_timeout")
    if timeout is not None and timeout > longest:
        return []
    current = "1 h, its default" if timeout is None else f"{timeout} s"
    text = (
        f"Redis delivers an unacknowledged message again after {current}. These tasks have "
        f"acks_late, so a second delivery may come while they run: {', '.join(late)}."
    )
    hint = (
        'Set "visibility_timeout" in CELERY_BROKER_TRANSPORT_OPTIONS to more seconds than the '
        "longest task takes, and more than the longest countdown."
    )
    return [Hazard(text, hint=hint, id="jobs.W013")]


def _missing_timeouts(transport: str, options: dict[str, Any]) -> str:
    """Return the transport options to set, or "" if none are missing."""
    if transport in REDIS and not options.get("socket_timeout"):
        return '{"socket_timeout": 3, "socket_connect_timeout": 3}'
    confirms = transport in RABBITMQ and options.get("confirm_publish")
    if confirms and not options.get("read_timeout"):
        return '{"confirm_publish": True, "read_timeout": 2, "write_timeout": 2}'
    return ""
