"""The doctor: each step says in one line what is well, or what is wrong and what to do, and none hangs."""

import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis
from django.core.checks import Error
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from kombu import Connection

from jobs.checks.project import check_broker, check_redelivery
from jobs.doctor import public_address, step, walk
from jobs.doctor.plain_browser import Answer, Closed
from jobs.doctor.step import Wrong, within
from jobs.queues.celery import inspection, remote_command
from jobs.store import records, scripts, server
from jobs.store.server import Standby
from project.demo.embedded import EmbeddedServer
from tests.docs.documents import ROOT
from tests.factories import NOWHERE
from tests.surroundings import database_file  # noqa: F401 - a fixture
from tests.tasks import send_parcel

HOST = "https://example.org"


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Have less of it."""
    for module in (step, walk, public_address):
        monkeypatch.setattr(module, "PATIENCE", 2.0)


@pytest.fixture
def one_worker(monkeypatch):
    monkeypatch.setattr(inspection, "ask_broker", lambda: "redis://broker")
    served = frozenset(filter(None, map(inspection.queue_of, inspection.job_tasks().values())))
    everything = inspection.Worker(frozenset(inspection.job_tasks()), served)
    monkeypatch.setattr(inspection, "ask_workers", lambda: {"celery@here": everything})


def worker(tasks, queues):
    return inspection.Worker(frozenset(tasks), frozenset(queues))


def found(step, url=""):
    """Return what one step has found."""
    return next(finding for finding in walk.examine(url) if finding.step == step)


@pytest.mark.usefixtures("one_worker", "database_file")
def test_a_system_in_which_all_is_well_passes_every_step(redis_client):
    findings = list(walk.examine())
    assert [finding for finding in findings if not finding.is_ok] == []
    steps = [
        "settings",
        "store",
        "archive",
        "broker",
        "tasks",
        "worker",
        "layer",
        "route",
        "static",
    ]
    assert [finding.step for finding in findings] == steps
    assert redis_client.dbsize() == 0  # it has left nothing behind


@pytest.mark.django_db
def test_what_a_system_check_finds_is_repeated(monkeypatch):
    monkeypatch.setattr(
        walk, "run_checks", lambda: [Error("No layer.", hint="Set one.", id="jobs.E004")]
    )
    with pytest.raises(Wrong, match=r"jobs\.E004: No layer\. Set one\."):
        walk._settings()


@pytest.mark.django_db
def test_other_apps_checks_and_silenced_ones_are_passed_over(monkeypatch, settings):
    settings.SILENCED_SYSTEM_CHECKS = ["jobs.E004"]
    monkeypatch.setattr(
        walk, "run_checks", lambda: [Error("x", id="jobs.E004"), Error("y", id="shop.E001")]
    )
    assert walk._settings() == "project.settings: no system check complains"


def test_a_store_that_is_away_is_named_with_what_to_do(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(Wrong, match="REDIS_URL"):
        walk._store()


@pytest.mark.parametrize(
    ("clock", "policy", "said"),
    [(0, "allkeys-lru", "noeviction"), (3600, "", r"\+3600 s"), (-60, "noeviction", "-60")],
)
def test_a_store_that_evicts_or_lives_in_another_time_is_wrong(monkeypatch, clock, policy, said):
    monkeypatch.setattr(
        server, "check_write", lambda: (int((time.time() + clock) * 1_000_000), policy)
    )
    with pytest.raises(Wrong, match=said):
        walk._store()


def test_a_store_behind_sentinels_is_named_and_needs_a_replica(monkeypatch):
    monkeypatch.setattr(server, "standby", lambda: Standby("main", "10.0.0.5:6379", 2))
    assert walk._store().endswith("main is at 10.0.0.5:6379 now and has 2 to take its place")
    monkeypatch.setattr(server, "standby", lambda: Standby("main", "10.0.0.5:6379", 0))
    with pytest.raises(Wrong, match=r"main, at present 10\.0\.0\.5:6379, has no replica"):
        walk._store()


def test_an_archive_that_does_not_answer_is_wrong(monkeypatch, settings):
    def fail():
        raise OperationalError("the disk is gone")

    monkeypatch.setattr(walk, "_missing_migrations", fail)
    with pytest.raises(Wrong, match="the disk is gone.*migrate"):
        walk._archive()
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    assert walk._archive().startswith("off")


@pytest.mark.usefixtures("database_file")
@pytest.mark.parametrize(
    ("alias", "said"), [("default", "manage.py migrate`"), ("jobs", "migrate --database jobs`")]
)
def test_migrations_that_are_missing_are_named(monkeypatch, alias, said):
    last = MigrationExecutor(connection).loader.graph.leaf_nodes("jobs")[0]
    MigrationRecorder(connection).record_unapplied(*last)
    monkeypatch.setattr(
        walk, "_database_option", lambda: "" if alias == "default" else f" --database {alias}"
    )
    with pytest.raises(Wrong, match=rf"Not migrated: jobs\.{last[1]}.*{said}"):
        walk._archive()


def test_a_broker_that_hangs_is_not_waited_for(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(walk, "PATIENCE", 0.05)
    monkeypatch.setattr(inspection, "ask_broker", gate.wait)
    with pytest.raises(Wrong, match="hangs"):
        walk._broker()
    gate.set()


def test_a_broker_that_is_away_is_named(monkeypatch):
    def fail():
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(inspection, "ask_broker", fail)
    with pytest.raises(Wrong, match="refused.*CELERY_BROKER_URL"):
        walk._broker()


def test_the_broker_is_really_asked():
    assert inspection.ask_broker().startswith("redis://")


def test_a_project_without_a_job_task_is_told_how_to_make_one(monkeypatch):
    monkeypatch.setattr(inspection, "job_tasks", dict)
    with pytest.raises(Wrong, match="@job_task"):
        walk._tasks()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, "Start one"),
        ({"old@here": worker({"shop.tasks.pay"}, {"celery"})}, "Restart the workers"),
    ],
)
def test_no_worker_and_one_with_old_code_are_told_apart(monkeypatch, known, said):
    monkeypatch.setattr(inspection, "ask_workers", lambda: known)
    with pytest.raises(Wrong, match=said):
        walk._worker()


@pytest.fixture
def one_task(monkeypatch):
    """Have one job task; return a function that says which workers answer."""
    monkeypatch.setattr(inspection, "job_tasks", lambda: {send_parcel.name: send_parcel})
    return lambda **known: monkeypatch.setattr(inspection, "ask_workers", lambda: known)


@pytest.fixture
def routes(monkeypatch):
    """Return a function that sets Celery's settings, and has them read anew before and after."""
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


def test_a_worker_that_keeps_jobs_in_another_redis_is_named(one_task):
    tasks, queues = frozenset({send_parcel.name}), frozenset({"celery"})
    one_task(
        w1=inspection.Worker(tasks, queues, server.identity()),
        w2=inspection.Worker(tasks, queues, "another/0"),
    )
    with pytest.raises(Wrong, match=r"^w2 keeps jobs in another Redis.*settings module"):
        walk._worker()
    one_task(
        w1=inspection.Worker(tasks, queues, server.identity()),
        old=inspection.Worker(tasks, queues),
    )
    assert walk._worker() == "old, w1 answered"


def test_a_worker_says_which_redis_it_uses_and_nothing_while_that_is_away(settings):
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
def test_a_queue_that_no_worker_serves_is_named_with_its_tasks_and_what_to_start(
    one_task, routes, conf
):
    routes(**conf)
    one_task(w1=worker({send_parcel.name}, {"celery", "mail"}))
    said = r"queue 'parcels', to which tests\.tasks\.send_parcel is sent.*-Q parcels.*-Q celery,mail,parcels"
    with pytest.raises(Wrong, match=said):
        walk._worker()
    one_task(w1=worker({send_parcel.name}, {"parcels"}))
    assert walk._worker() == "w1 answered"


def test_the_queue_of_the_task_itself_is_looked_at(one_task, monkeypatch):
    monkeypatch.setattr(send_parcel, "queue", "own", raising=False)
    one_task(w1=worker({send_parcel.name}, {"celery"}))
    with pytest.raises(Wrong, match="queue 'own'"):
        walk._worker()


def test_another_project_s_worker_on_the_queue_is_named(one_task):
    one_task(
        w1=worker({send_parcel.name}, {"celery"}), theirs=worker({"shop.tasks.pay"}, {"celery"})
    )
    with pytest.raises(
        Wrong,
        match="theirs takes from the queue 'celery' and does not know tests.tasks.send_parcel",
    ):
        walk._worker()


def test_a_queue_that_celery_must_not_create_is_an_error_of_the_settings(one_task, routes):
    routes(task_routes={"tests.tasks.*": "parcels"}, task_create_missing_queues=False)
    one_task(w1=worker({send_parcel.name}, {"celery"}))
    with pytest.raises(Wrong, match="cannot be sent: Queue 'parcels' missing.*CELERY_TASK_QUEUES"):
        walk._worker()


@pytest.mark.parametrize(
    "route",
    [
        lambda name, args, kwargs, *more, **options: {"queue": kwargs["region"]},
        {"*": {"exchange": "post"}},
    ],
)
def test_a_route_that_depends_on_more_than_the_task_is_nobody_s_fault(one_task, routes, route):
    routes(task_routes=route if callable(route) else (route,))
    one_task(w1=worker({send_parcel.name}, {"somewhere"}))
    assert walk._worker() == "w1 answered"


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
def test_of_the_broker_s_address_only_a_password_that_is_there_is_masked(url, shown):
    assert inspection._address(Connection(url)) == shown


def use_broker(monkeypatch, url):
    """Let Celery have another broker, and open new connections to it, for the length of a test."""
    app = send_parcel.app
    for name in ("broker_url", "broker_read_url", "broker_write_url"):
        monkeypatch.setitem(app.conf.changes, name, url)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    monkeypatch.setattr(app, "_pool", None)


@pytest.mark.usefixtures("database_file")
@pytest.mark.parametrize("given", ["geheim", "wrong-geheim"])
def test_no_step_shows_or_logs_a_password(settings, monkeypatch, caplog, given):
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "geheim")
        url = server.url.replace("//", f"//:{given}@")
        settings.JOBS = settings.JOBS | {"REDIS_URL": url}
        settings.CHANNEL_LAYERS = {
            "default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [url]}}
        }
        use_broker(monkeypatch, url)
        findings = {finding.step: finding for finding in walk.examine()}
    assert (
        findings["store"].is_ok
        == findings["broker"].is_ok
        == findings["layer"].is_ok
        == (given == "geheim")
    )
    assert "geheim" not in "".join(finding.text for finding in findings.values()) + caplog.text


MALFORMED = [
    "redis://:sec/ret@a:6379/0",
    "redis://a:6379/0?password=sec",
    "amqp://ann:sec?ret@a//",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_broker_is_named_and_no_part_of_its_password(monkeypatch, settings, url):
    use_broker(monkeypatch, url)
    (error,) = [*check_broker(), *check_redelivery()]
    assert error.id == "jobs.E009" and "sec" not in f"{error.msg}{error.hint}"
    for look in (walk._broker, walk._worker):
        with pytest.raises(Wrong, match="CELERY_BROKER_URL is malformed") as wrong:
            look()
        assert "sec" not in str(wrong.value)


def test_a_redis_cluster_is_named(monkeypatch):
    monkeypatch.setattr(server, "is_in_cluster", lambda: True)
    with pytest.raises(Wrong, match="node of a Redis Cluster, which is not supported"):
        walk._store()
    monkeypatch.setattr(inspection, "_is_in_cluster", lambda connection: True)
    with pytest.raises(Wrong, match="Redis Cluster, which Celery does not support"):
        walk._broker()


def test_a_layer_that_carries_nothing_is_wrong(settings):
    settings.CHANNEL_LAYERS = {
        "default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [NOWHERE]}}
    }
    with pytest.raises(Wrong, match="CHANNEL_LAYERS"):
        walk._layer()


def test_a_layer_that_is_not_the_store_s_own_is_tried_too(settings):
    config = {
        "hosts": settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"],
        "symmetric_encryption_keys": ["secret"],
    }
    settings.CHANNEL_LAYERS = {"default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": config}}
    assert "heard" in walk._layer()


async def deaf_application(scope, receive, send):
    raise ValueError("No application configured for scope type 'websocket'")


@pytest.mark.parametrize(
    ("application", "said"),
    [
        (None, "not set"),
        ("tests.test_doctor.deaf_application", "with_sockets"),
        ("jobs.routing.none", "no attribute|does not define"),
    ],
)
def test_an_application_that_opens_no_sockets_is_wrong(settings, application, said):
    settings.ASGI_APPLICATION = application
    with pytest.raises(Wrong, match=said):
        public_address.find_route()


@pytest.mark.usefixtures("database_file")
def test_the_application_is_asked_for_a_host_that_it_serves(settings):
    settings.ALLOWED_HOSTS = ["*", ".example.org"]
    settings.ASGI_APPLICATION = "jobs.routing.websocket_application"
    assert "opens /ws/jobs/" in public_address.find_route()


def test_files_that_are_not_found_are_wrong(settings):
    settings.STATICFILES_DIRS = []
    public_address.finders.get_finder.cache_clear()
    try:
        with pytest.raises(Wrong, match="INSTALLED_APPS"):
            public_address.find_static()
    finally:
        public_address.finders.get_finder.cache_clear()


SCRIPT = 'import { claim } from "./claim.js"; import "./more.js";'
BAD = [
    ({"waiting.js": (404, "text/html")}, "waiting.js answers 404.*collectstatic"),
    ({"waiting.js": (301, "text/javascript")}, "waiting.js answers 301"),
    ({"waiting.js": (200, "text/plain")}, "waiting.js is served as text/plain.*text/javascript"),
    (
        {"claim.js": (404, "text/html")},
        "claim.js answers 404.*waiting.js imports it by this name.*HASHED",
    ),
    ({"claim.js": (200, "text/html")}, "claim.js is served as text/html"),
]


@pytest.fixture
def files(monkeypatch):
    """Return a function that says what static files are answered with, if not well."""

    def serve(answers, allowed=""):
        def fetch(address, origin):
            status, kind = answers.get(address.rpartition("/")[2], (200, "text/javascript"))
            return Answer(status, kind, allowed, SCRIPT)

        monkeypatch.setattr(public_address, "fetch", fetch)

    return serve


@pytest.mark.parametrize(("answers", "said"), BAD)
def test_a_script_or_what_it_imports_that_is_not_served_is_wrong(files, answers, said):
    files(answers)
    with pytest.raises(Wrong, match=said):
        public_address.fetch_static(HOST)


def test_the_waiting_page_s_script_and_one_import_are_fetched(files):
    files({})
    said = public_address.fetch_static(HOST)
    assert (
        f"{HOST}/static/jobs/bundle/waiting.js is served" in said
        and f"{HOST}/static/jobs/bundle/claim.js" in said
    )


@pytest.fixture
def static_site(tmp_path, monkeypatch):
    """Serve the app's own static files by HTTP; return the folder and the address."""
    shutil.copytree(ROOT / "frontend" / "static", tmp_path / "static")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path / "static" / "jobs", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_modules_that_import_each_other_are_followed_over_http(static_site, monkeypatch):
    folder, address = static_site
    assert public_address.fetch_static(address).endswith("jobs/bundle/waiting.js is served")
    monkeypatch.setattr(public_address, "FILE", "jobs/waiting.js")  # of which the bundle was made
    said = public_address.fetch_static(address)
    assert "which it imports" in said
    imported = said.rpartition("/")[2].partition(",")[0]
    (folder / imported).unlink()  # as a storage does that keeps only files with a hash
    with pytest.raises(Wrong, match=f"{imported} answers 404"):
        public_address.fetch_static(address)


def test_files_on_another_host_must_allow_this_one(files, settings):
    settings.STATIC_URL = "https://cdn.example/s/"
    files({})
    with pytest.raises(
        Wrong,
        match="https://cdn.example/s/jobs/bundle/waiting.js is on another host.*Allow-Origin",
    ):
        public_address.fetch_static(HOST)
    files({}, allowed=HOST)
    assert "https://cdn.example/s/jobs/bundle/claim.js" in public_address.fetch_static(HOST)


class Door:
    """A socket of the public address that answers with what it is given."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, *where):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def say(self, **frame):
        pass

    def hear(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([Closed(4400)], "4400.*ALLOWED_HOSTS"),
        ([Closed(404)], "404.*an ASGI server.*daphne"),
        ([ConnectionResetError("reset")], "reset.*ALLOWED_HOSTS"),
        ([{"event": "error", "code": "not_found"}], "SECRET_KEY"),
        ([{"event": "subscribed"}, TimeoutError()], "did not arrive"),
    ],
)
def test_a_socket_through_which_nothing_comes_is_wrong(monkeypatch, answers, said):
    monkeypatch.setattr(public_address, "PlainSocket", Door(*answers))
    with pytest.raises(Wrong, match=said):
        public_address.try_socket(HOST)


def test_an_origin_that_should_be_refused_and_is_not_is_wrong(monkeypatch):
    monkeypatch.setattr(public_address, "PlainSocket", Door({"event": "pong"}))
    with pytest.raises(Wrong, match="CSRF_TRUSTED_ORIGINS"):
        public_address.try_origin(HOST)
    monkeypatch.setattr(public_address, "PlainSocket", Door(Closed(4400)))
    assert "refused (4400)" in public_address.try_origin(HOST)


@pytest.mark.usefixtures("one_worker", "database_file")
def test_an_address_where_nobody_is_makes_three_steps_wrong():
    wrong = [finding for finding in walk.examine("http://127.0.0.1:1") if not finding.is_ok]
    assert [finding.step for finding in wrong] == ["socket", "origin", "static"]
    assert all("refused" in finding.text for finding in wrong)


def test_what_nobody_has_thought_of_is_a_finding_too(monkeypatch):
    monkeypatch.setattr(walk, "STEPS", {"odd": lambda: 1 / 0})
    odd = found("odd")
    assert not odd.is_ok and odd.text == "ZeroDivisionError: division by zero"


def test_within_its_time_an_action_returns_or_raises():
    assert within(2, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(2, {}.popitem)


@pytest.fixture
def no_sockets(settings):
    """Make it a project that WSGI serves."""
    settings.CHANNEL_LAYERS, settings.ASGI_APPLICATION = {}, None


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("ws/jobs/", (HOST, "/ws/jobs/")),
        ("/live/ws/jobs/", (HOST, "/live/ws/jobs/")),
        ("wss://live.example/ws/jobs/", ("https://live.example", "/ws/jobs/")),
    ],
)
def test_the_socket_is_tried_where_pages_open_it(settings, path, place):
    settings.JOBS = settings.JOBS | {"SOCKET_PATH": path}
    assert public_address._socket_of(HOST) == place


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("step", [walk._layer, public_address.find_route])
def test_a_project_without_sockets_is_as_it_should_be(step):
    assert step().startswith("off: ") and "pages poll" in step()


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("step", [public_address.try_socket, public_address.try_origin])
def test_sockets_that_are_not_there_are_not_tried(step):
    assert step("http://127.0.0.1:1").startswith("off: ")


@pytest.mark.parametrize(
    "url", ["https://ann:secret@example.org", "ftp://ann:secret@a", "example.org", "https://"]
)
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match="no address.*https://example.org") as refusal:
        public_address.origin_of(url)
    assert "secret" not in str(refusal.value)
