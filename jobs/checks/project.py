"""System checks of what the host project has to have around the app: middleware, sockets, a broker that cannot hang,
handlers that are loaded, and settings that are safe in public."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Hazard
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils.module_loading import import_string

from jobs.conf import JobsSettings
from jobs.exceptions import HandlerNotFound
from jobs.handlers import find_handler
from jobs.middleware import StoreUnavailableMiddleware
from jobs.queues.celery import inspection
from jobs.store.address import Place, parse

COOKIES = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
REDIS, RABBITMQ = (
    ("redis", "rediss", "sentinel"),
    ("amqp", "amqps", "pyamqp"),
)  # transports of Celery's
LOOPBACK = ("127.0.0.1", "::1")


@register(Tags.compatibility)
def check_handlers(**_: Any) -> list[CheckMessage]:
    """Look for job tasks whose handler nobody has loaded, and for handlers of tasks that are no job tasks.

    It sees the tasks that have been imported so far; in a worker those are all.
    """
    return [*_without_handler(), *_without_base()]


@register(Tags.compatibility)
def check_broker(**_: Any) -> list[CheckMessage]:
    """Look for a broker without an address, or one that could hold views up for ever.

    That is a Redis without a timeout, or a RabbitMQ that is to confirm.
    """
    try:
        transport, options = inspection.broker_options()
    except ValueError as error:
        hint = "Write it like redis://user:password@host:6379/0 or amqp://user:password@host:5672/vhost."
        return [Error(f"{error}.", hint=hint, id="jobs.E009")]
    if transport in REDIS and not options.get("socket_timeout"):
        advice = '{"socket_timeout": 3, "socket_connect_timeout": 3}'
    elif (
        transport in RABBITMQ
        and options.get("confirm_publish")
        and not options.get("read_timeout")
    ):
        advice = '{"confirm_publish": True, "read_timeout": 2, "write_timeout": 2}'
    else:
        return []
    hint = f"CELERY_BROKER_TRANSPORT_OPTIONS = {advice}"
    return [Hazard("A broker that hangs would hold views up for ever.", hint=hint, id="jobs.W006")]


@register(Tags.compatibility)
def check_eager(**_: Any) -> list[CheckMessage]:
    """Look for a Celery that runs each task in the request that starts it."""
    if not inspection.is_eager():
        return []
    message = "CELERY_TASK_ALWAYS_EAGER is on: each job runs inside the request that starts it."
    hint = (
        "The view answers only when the job has ended, so nobody sees a waiting page. "
        "Turn it off and start a worker; in tests use jobs.testing.run_at_once()."
    )
    return [Hazard(message, hint=hint, id="jobs.W012")]


@register(Tags.compatibility)
def check_redelivery(**_: Any) -> list[CheckMessage]:
    """Look for a Redis that delivers the messages of tasks with `acks_late` again while they run.

    It sees the tasks that have been imported so far; in a worker those are all.
    """
    try:
        transport, options = inspection.broker_options()
    except ValueError:
        return []  # jobs.E009 says so
    late = {name: task for name, task in inspection.job_tasks().items() if task.acks_late}
    if transport not in REDIS or not late:
        return []
    visible = options.get("visibility_timeout")
    limits = {name: task.time_limit for name, task in late.items() if task.time_limit}
    if visible is not None and visible > max(limits.values(), default=0):
        return []
    set_so_far = "1 h, its default" if visible is None else f"{visible} s"
    text = (
        f"Redis delivers a message again after {set_so_far}, also while its task runs, "
        f"if that has acks_late: {', '.join(late)}."
    )
    hint = (
        'Set "visibility_timeout" in CELERY_BROKER_TRANSPORT_OPTIONS to more seconds than the '
        "longest task takes, and the longest countdown."
    )
    return [Hazard(text, hint=hint, id="jobs.W013")]


@register(Tags.compatibility)
def check_middleware(**_: Any) -> list[CheckMessage]:
    """Look for the middleware that answers while Redis is away."""
    if any(_is_a(StoreUnavailableMiddleware, path) for path in settings.MIDDLEWARE):
        return []
    hint = 'Add "jobs.middleware.StoreUnavailableMiddleware" to MIDDLEWARE.'
    return [
        Hazard(
            "While Redis is away, pages would answer 500 instead of 503.",
            hint=hint,
            id="jobs.W007",
        )
    ]


@register(Tags.compatibility)
def check_sessions(**_: Any) -> list[CheckMessage]:
    """Look for the middleware that makes sessions: whoever is not logged in owns jobs by one."""
    if any(_is_a(SessionMiddleware, path) for path in settings.MIDDLEWARE):
        return []
    hint = 'Add "django.contrib.sessions.middleware.SessionMiddleware" to MIDDLEWARE, or let only users start jobs.'
    return [
        Hazard(
            "Without sessions, visitors who are not logged in cannot start jobs.",
            hint=hint,
            id="jobs.W014",
        )
    ]


@register(Tags.templates)
def check_templates(**_: Any) -> list[CheckMessage]:
    """Look for the waiting page's template among those of Django's own engine."""
    try:
        get_template("jobs/waiting.html")
    except TemplateDoesNotExist:
        hint = (
            "Have an entry of TEMPLATES with DjangoTemplates as its BACKEND and APP_DIRS = True."
        )
        return [
            Error(
                "The waiting page has no template: no loader finds jobs/waiting.html.",
                hint=hint,
                id="jobs.E010",
            )
        ]
    return []


@register(Tags.compatibility)
def check_archive(**_: Any) -> list[CheckMessage]:
    """Look for an archive that was turned off."""
    if _setting("ARCHIVE"):
        return []
    hint = "on_ready may run twice when Redis is emptied; silence this check if that is meant."
    return [Hazard("JOBS['ARCHIVE'] is off: nothing outlives Redis.", hint=hint, id="jobs.W008")]


@register(Tags.compatibility)
def check_asgi(**_: Any) -> list[CheckMessage]:
    """Look for the application that opens sockets; whether it does so is told by `jobs_doctor`."""
    if getattr(settings, "ASGI_APPLICATION", None) or not _setting("SOCKET_PATH"):
        return []
    hint = (
        "Pages poll every few seconds, which works. For sockets set it, and CHANNEL_LAYERS (see the README); "
        'if you want none, say so: JOBS["SOCKET_PATH"] = "".'
    )
    return [
        Hazard("ASGI_APPLICATION is not set, so there are no sockets.", hint=hint, id="jobs.W009")
    ]


@register(Tags.security, deploy=True)
def check_cookies(**_: Any) -> list[CheckMessage]:
    """Look for cookies that travel in clear: whoever has the session's is the owner of its jobs."""
    missing = [name for name in COOKIES if not getattr(settings, name)]
    if settings.DEBUG or not missing:
        return []
    hint = f"Set {' and '.join(missing)} to True."
    return [
        Hazard(
            "Cookies that make somebody the owner of jobs travel in clear.",
            hint=hint,
            id="jobs.W010",
        )
    ]


@register(Tags.security, deploy=True)
def check_redis(**_: Any) -> list[CheckMessage]:
    """Look for a Redis on the network that anybody can write to."""
    try:
        redis = parse(str(_setting("REDIS_URL")))
    except ValueError:
        return []  # jobs.E006 says so
    if settings.DEBUG or redis.password or all(map(_is_local, redis.places)):
        return []
    hint = "Whoever writes to it can complete anybody's job. Use a password, TLS (rediss://) and a network of its own."
    return [Hazard("The Redis of JOBS['REDIS_URL'] takes no password.", hint=hint, id="jobs.W011")]


def _without_handler() -> Iterator[CheckMessage]:
    for name, task in inspection.job_tasks().items():
        try:
            find_handler(task.handler_class)
        except HandlerNotFound as error:
            yield Error(
                f"The task {name} cannot be started as a job.", hint=str(error), id="jobs.E005"
            )


def _without_base() -> Iterator[CheckMessage]:
    for name in inspection.half_job_tasks():
        hint = "Decorate it with @job_task, or give it base=JobTask; otherwise nobody is told how it goes."
        yield Error(
            f"The task {name} has a handler, and its class is no JobTask.",
            hint=hint,
            id="jobs.E007",
        )


def _setting(name: str) -> Any:
    given = getattr(settings, "JOBS", {})
    return (
        given[name] if isinstance(given, dict) and name in given else getattr(JobsSettings(), name)
    )


def _is_local(place: Place) -> bool:
    return place[0].startswith("/") or place[0] in LOOPBACK


def _is_a(wanted: type, path: str) -> bool:
    try:
        middleware = import_string(path)
    except ImportError:
        return False  # Django says so itself
    return isinstance(middleware, type) and issubclass(middleware, wanted)
