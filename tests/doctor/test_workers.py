"""The doctor's steps about the broker and the workers."""

import threading

import pytest
from kombu import Connection

from jobs.checks.broker import check_broker, check_redelivery
from jobs.doctor import step
from jobs.doctor.step import StepFailed
from jobs.doctor.workers import try_broker, try_workers
from jobs.queues.celery import inspection, remote_command
from jobs.store import server
from tests.factories import NOWHERE
from tests.tasks import send_parcel


def worker(tasks, queues):
    return inspection.Worker(frozenset(tasks), frozenset(queues))


def test_a_broker_that_hangs_does_not_hang_the_doctor(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(step, "STEP_TIMEOUT", 0.05)
    monkeypatch.setattr(inspection, "ask_broker", gate.wait)
    with pytest.raises(StepFailed, match="hangs"):
        try_broker()
    gate.set()


def test_a_broker_that_is_down_is_an_error(monkeypatch):
    def fail():
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(inspection, "ask_broker", fail)
    with pytest.raises(StepFailed, match="refused.*CELERY_BROKER_URL"):
        try_broker()


def test_the_broker_s_address_is_found():
    assert inspection.ask_broker().startswith("redis://")


def test_a_broker_in_a_redis_cluster_fails(monkeypatch):
    monkeypatch.setattr(inspection, "_is_in_cluster", lambda connection: True)
    with pytest.raises(StepFailed, match="Redis Cluster, which Celery does not support"):
        try_broker()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, "Start one"),
        ({"old@here": worker({"shop.tasks.pay"}, {"celery"})}, "Restart the workers"),
    ],
)
def test_no_worker_and_one_with_old_code_get_different_advice(monkeypatch, known, said):
    monkeypatch.setattr(inspection, "ask_workers", lambda: known)
    with pytest.raises(StepFailed, match=said):
        try_workers()


@pytest.fixture
def one_task(monkeypatch):
    """Leave one job task, and return a function that sets which workers answer."""
    monkeypatch.setattr(inspection, "job_tasks", lambda: {send_parcel.name: send_parcel})
    return lambda **known: monkeypatch.setattr(inspection, "ask_workers", lambda: known)


@pytest.fixture
def routes(monkeypatch):
    """Return a function that changes Celery's settings and drops what it cached of them."""
    app = send_parcel.app

    def forget():
        for name in ("router", "queues", "routes"):
            app.amqp.__dict__.pop(name, None)
        app.amqp._rtable = None

    def configure(**conf):
        for name, value in conf.items():
            monkeypatch.setitem(app.conf.changes, name, value)
        forget()

    yield configure
    monkeypatch.undo()
    forget()


def test_a_worker_that_keeps_jobs_in_another_redis_fails(one_task):
    tasks, queues = frozenset({send_parcel.name}), frozenset({"celery"})
    one_task(
        w1=inspection.Worker(tasks, queues, server.identity()),
        w2=inspection.Worker(tasks, queues, "another/0"),
    )
    with pytest.raises(StepFailed, match=r"^w2 keeps jobs in another Redis.*settings module"):
        try_workers()
    one_task(
        w1=inspection.Worker(tasks, queues, server.identity()),
        old=inspection.Worker(tasks, queues),
    )
    assert try_workers() == "old, w1 answered"


def test_a_worker_names_its_redis_while_that_is_up(settings):
    assert remote_command.STORE == inspection.STORE
    assert remote_command.answer_store(None) == server.identity() != ""
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    assert remote_command.answer_store(None) == ""


QUEUED = [
    {"task_routes": {"tests.tasks.*": {"queue": "parcels"}}},
    {"task_routes": {"tests.tasks.send_parcel": "parcels"}},
    {"task_routes": (lambda name, *more, **options: {"queue": "parcels"},)},
    {"task_default_queue": "parcels"},
]


@pytest.mark.parametrize("conf", QUEUED, ids=["pattern", "name", "function", "default"])
def test_a_queue_without_a_worker_is_named_with_its_tasks(one_task, routes, conf):
    routes(**conf)
    one_task(w1=worker({send_parcel.name}, {"celery", "mail"}))
    said = (
        r"queue 'parcels', to which tests\.tasks\.send_parcel is sent"
        r".*-Q parcels.*-Q celery,mail,parcels"
    )
    with pytest.raises(StepFailed, match=said):
        try_workers()
    one_task(w1=worker({send_parcel.name}, {"parcels"}))
    assert try_workers() == "w1 answered"


def test_the_task_s_own_queue_counts(one_task, monkeypatch):
    monkeypatch.setattr(send_parcel, "queue", "own", raising=False)
    one_task(w1=worker({send_parcel.name}, {"celery"}))
    with pytest.raises(StepFailed, match="queue 'own'"):
        try_workers()


def test_another_project_s_worker_on_our_queue_fails(one_task):
    one_task(
        w1=worker({send_parcel.name}, {"celery"}), theirs=worker({"shop.tasks.pay"}, {"celery"})
    )
    with pytest.raises(
        StepFailed,
        match="theirs takes from the queue 'celery' and does not know tests.tasks.send_parcel",
    ):
        try_workers()


def test_a_queue_that_celery_may_not_create_fails(one_task, routes):
    routes(task_routes={"tests.tasks.*": "parcels"}, task_create_missing_queues=False)
    one_task(w1=worker({send_parcel.name}, {"celery"}))
    with pytest.raises(
        StepFailed, match="cannot be sent: Queue 'parcels' missing.*CELERY_TASK_QUEUES"
    ):
        try_workers()


@pytest.mark.parametrize(
    "route",
    [
        lambda name, args, kwargs, *more, **options: {"queue": kwargs["region"]},
        {"*": {"exchange": "post"}},
    ],
)
def test_a_route_that_depends_on_arguments_is_left_alone(one_task, routes, route):
    routes(task_routes=route if callable(route) else (route,))
    one_task(w1=worker({send_parcel.name}, {"somewhere"}))
    assert try_workers() == "w1 answered"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:p%40ss@a:1/0", "redis://:**@a:1/0"),
        ("redis://ann:secret@a:1/0", "redis://ann:**@a:1/0"),
        ("amqp://ann:p%2Fss@a:5672//shop", "amqp://ann:**@a:5672//shop"),
        ("sentinel://:secret@a:26379/1;sentinel://:secret@b:26379/1", "sentinel://:**@a:26379/1"),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("filesystem://", "filesystem://localhost//"),
    ],
)
def test_only_a_password_that_is_given_is_masked(url, shown):
    assert inspection._address(Connection(url)) == shown


MALFORMED = [
    "redis://:sec/ret@a:6379/0",
    "redis://a:6379/0?password=sec",
    "amqp://ann:sec?ret@a//",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_broker_address_never_shows_its_password(use_broker, url):
    use_broker(url)
    (error,) = [*check_broker(), *check_redelivery()]
    assert error.id == "jobs.E009" and "sec" not in f"{error.msg}{error.hint}"
    for try_it in (try_broker, try_workers):
        with pytest.raises(StepFailed, match="CELERY_BROKER_URL is malformed") as failure:
            try_it()
        assert "sec" not in str(failure.value)
