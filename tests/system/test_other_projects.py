"""Projects made from the documents: with sockets of their own, and without any."""

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from playwright.async_api import expect
from websockets.sync.client import connect

from project.demo.embedded import EmbeddedServer, free_port
from project.demo.processes import Child
from tests.docs.documents import files
from tests.docs.printed import EDITABLE, Project
from tests.factories import eventually
from tests.wheels import clean_environment

TUTORIAL = "docs/tutorial.md"
STEP_TIMEOUT = 60  # seconds
STEP_TIMEOUT_MS = STEP_TIMEOUT * 1000  # milliseconds

# Served by WSGI alone. Without daphne, runserver is Django's own.
WSGI = """
INSTALLED_APPS.remove("daphne")
del ASGI_APPLICATION, CHANNEL_LAYERS
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
"""
QUICK = (
    "\ntime.sleep = lambda seconds, wait=__import__('threading').Event().wait: wait(seconds / 4)\n"
)


class Running:
    """A printed project whose processes run, with a Redis of its own."""

    def __init__(self, project, redis, stack):
        self.project, self.redis, self.stack = project, redis, stack
        path = {
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PYTHONPATH": str(project.folder),
            "PYTHONUNBUFFERED": "1",
        }
        self.env = clean_environment(**path, REDIS_URL=redis.url)
        self.env.pop("CELERY_BROKER_URL", None)  # the tests' own, which Celery would take
        self.address = f"http://127.0.0.1:{free_port()}"
        self.manage("migrate")

    @property
    def port(self):
        return self.address.rpartition(":")[2]

    def manage(self, *arguments):
        """Run a command to its end; return its exit code and all that it printed."""
        command = [sys.executable, self.project.folder / "manage.py", *arguments]
        done = subprocess.run(
            command, env=self.env, cwd=self.project.folder, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    def start(self, name, *command):
        """Start a process of the project."""
        child = Child(
            name,
            ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(self.project.folder), *command],
            self.env,
        )
        self.stack.callback(child.stop, grace=5)
        return child

    def serve(self, *command):
        """Start the server, and wait until it answers."""
        server = self.start("server", sys.executable, *command)

        def answers():
            assert not server.has_ended, server.obituary
            try:
                return httpx.get(self.address, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, STEP_TIMEOUT)
        return server

    def work(self, *options):
        """Start a worker, and wait until it takes tasks."""
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "mysite",
            "worker",
            "--concurrency",
            "1",
            "--loglevel",
            "INFO",
        ]
        worker = self.start("worker", *command, "--without-mingle", "--without-gossip", *options)
        worker.await_line(r" ready\.$", STEP_TIMEOUT)
        return worker


@contextmanager
def running(folder, *documents, settings=""):
    """Make a project from documents, and run it until the end of the block."""
    with ExitStack() as stack:
        redis = stack.enter_context(EmbeddedServer())
        project = Project(folder).copy(*documents)
        project.add("mysite/settings.py", f"{EDITABLE}\nALLOWED_HOSTS = ['127.0.0.1']\n{settings}")
        project.add("reports/tasks.py", QUICK)
        yield Running(project, redis, stack)


def test_sockets_of_the_project_s_own_are_served_beside_those_of_jobs(tmp_path):
    with running(tmp_path, TUTORIAL) as site:
        for block in files("docs/recipes.md#Sockets of your own")[:2]:
            block.write(tmp_path)
        site.serve("-m", "daphne", "-p", site.port, "mysite.asgi:application")
        ws = site.address.replace("http", "ws")
        with connect(f"{ws}/ws/echo/", origin=site.address, proxy=None) as socket:
            socket.send("hello")
            assert socket.recv(timeout=STEP_TIMEOUT) == "hello"
        with connect(f"{ws}/ws/jobs/", origin=site.address, proxy=None) as socket:
            socket.send('{"action": "ping"}')
            assert json.loads(socket.recv(timeout=STEP_TIMEOUT)) == {"event": "pong"}


@pytest.fixture
def wsgi_site(tmp_path):
    """Run the tutorial's project under Django's own WSGI server, with a worker."""
    with running(tmp_path, TUTORIAL, settings=WSGI) as site:
        site.server = site.serve("manage.py", "runserver", "--noreload", site.port)
        site.worker = site.work()
        yield site


@pytest.mark.timeout(240)
async def test_without_sockets_page_bell_and_list_poll(browser, wsgi_site):
    async with await browser.new_context(base_url=wsgi_site.address) as context:
        page = await context.new_page()
        await page.goto("/")
        await page.get_by_role("button", name="Export").click()
        await expect(page.locator(".jobs-waiting")).to_have_attribute(
            "data-connected", "polling", timeout=STEP_TIMEOUT_MS
        )
        await expect(page.get_by_text("report-2026.csv is ready.")).to_be_visible(
            timeout=STEP_TIMEOUT_MS
        )
        await page.get_by_role("button", name="Export").click()
        await page.goto("/")
        await expect(page.get_by_role("button", name="1 new")).to_be_visible(
            timeout=STEP_TIMEOUT_MS
        )
        await page.goto("/jobs/")
        await expect(page.locator("job-list li")).to_have_count(2)
    printed = [*wsgi_site.server.lines, *wsgi_site.worker.lines]
    assert printed
    assert [
        line for line in printed if "Traceback" in line or "Error" in line or "layer" in line
    ] == []


@pytest.mark.timeout(240)
def test_the_checks_and_the_doctor_accept_a_project_without_sockets(wsgi_site):
    code, printed = wsgi_site.manage("check", "--fail-level", "ERROR")
    assert code == 0 and printed.count("(jobs.") == 1 and "jobs.W009" in printed, printed
    code, printed = wsgi_site.manage("jobs_doctor", "--url", wsgi_site.address)
    assert code == 0 and printed.count("off: without ASGI_APPLICATION") == 3, printed


ROUTED = """
CELERY_TASK_ROUTES = {"reports.tasks.*": {"queue": "reports"}}
"""


def line_of(printed, step):
    """Return what the doctor has printed of a step."""
    return next(line for line in printed.splitlines() if f" {step}: " in line)


@pytest.mark.timeout(240)
def test_the_doctor_sees_the_queues_and_the_redis_of_real_workers(tmp_path):
    with running(tmp_path, TUTORIAL, settings=ROUTED) as site, EmbeddedServer() as another:
        first = site.work()
        code, printed = site.manage("jobs_doctor")
        wrong = line_of(printed, "worker")
        assert (
            code == 1 and "queue 'reports'" in wrong and "reports.tasks.export_report" in wrong
        ), wrong
        assert "-Q celery,reports" in wrong
        first.stop()
        second = site.work("-Q", "celery,reports")
        code, printed = site.manage("jobs_doctor")
        assert line_of(printed, "worker").startswith("ok "), printed
        assert f"reached {site.redis.url}" in line_of(printed, "broker")  # without a mask
        second.stop()
        site.env |= {"CELERY_BROKER_URL": site.redis.url, "REDIS_URL": another.url}
        site.work("-Q", "celery,reports")
        site.env["REDIS_URL"] = site.redis.url
        assert "keeps jobs in another Redis" in line_of(site.manage("jobs_doctor")[1], "worker")
