"""The guides and recipes are true: each snippet runs in the tutorial's project."""

import django
import pytest

from .documents import files
from .printed import Project

TUTORIAL = "docs/tutorial.md"

# The old ways need a result backend. The test needs tasks that run immediately.
OLD_CELERY = """
INSTALLED_APPS += ["celery_progress"]
CELERY_RESULT_BACKEND = "cache+memory://"
CELERY_TASK_ALWAYS_EAGER = CELERY_TASK_STORE_EAGER_RESULT = True
"""
OLD_URLS = """
from django.urls import include, path
from reports import views
urlpatterns = [
    path("export/", views.export),
    path("reports/", lambda request: None),
    path("celery-progress/", include("celery_progress.urls")),
    path(
        "status/<str:task_id>/",
        getattr(views, "export_status", None) or views.export,
        name="export_status",
    ),
]
"""
NEW_URLS = """
from django.urls import include, path
from django.http import HttpResponse
from django.contrib.messages import get_messages
from reports import views
urlpatterns = [
    path("export/", views.export),
    path("reports/", lambda request: HttpResponse("".join(map(str, get_messages(request))))),
    path("jobs/", include("jobs.urls")),
]
"""
DRIVE_NEW = """
from jobs.testing import capture_events, run_immediately
with run_immediately(), capture_events() as events:
    waiting_page = client.post("/export/", {"year": "2026"})["Location"]
assert events[-1]["event"] == "ready" and events[-1]["job"]["progress"]["total"] == 12, events[-1]
assert client.post(waiting_page + "ready/", follow=True).content == b"report-2026.csv is ready."
assert client.post(waiting_page + "ready/", follow=True).content == b""
"""


def test_the_old_code_with_celery_progress_works(tmp_path):
    project = Project(tmp_path).copy(TUTORIAL, "docs/from-celery-progress.md#Before")
    project.add("mysite/settings.py", OLD_CELERY).write("mysite/urls.py", OLD_URLS)
    project.drive("""
import re
page = client.post("/export/", {"year": "2026"}).content.decode()
answer = client.get(re.search(r'"(/celery-progress/[^"]+)"', page)[1]).json()
found = answer["complete"], answer["success"], answer["result"]
assert found == (True, True, "report-2026.csv"), answer
""")


def test_the_old_code_with_polling_works(tmp_path):
    project = Project(tmp_path).copy(TUTORIAL, "docs/from-polling.md#Before")
    project.add("mysite/settings.py", OLD_CELERY).write("mysite/urls.py", OLD_URLS)
    project.drive("""
import re
page = client.post("/export/", {"year": "2026"}).content.decode()
assert client.get(re.search(r'"(/status/[^"]+)"', page)[1]).json() == {"state": "SUCCESS"}
assert client.get("/status/nobody-ever-had-this/").json() == {"state": "PENDING"}
""")


@pytest.mark.parametrize("guide", ["docs/from-celery-progress.md", "docs/from-polling.md"])
def test_the_new_code_of_a_guide_works(tmp_path, guide):
    project = Project(tmp_path).copy(TUTORIAL, f"{guide}#After").write("mysite/urls.py", NEW_URLS)
    assert "no issues" in project.python("manage.py", "check")
    project.drive(DRIVE_NEW)


@pytest.mark.parametrize("block", files("docs/testing.md"), ids=lambda block: block.file)
def test_the_tests_in_the_testing_guide_pass(tmp_path, block):
    project = Project(tmp_path).copy(TUTORIAL)
    project.add("reports/tasks.py", "\ntime.sleep = lambda seconds: None\n")
    block.write(tmp_path)
    output = project.python(
        "-W", "error", "manage.py", "test", block.file.removesuffix(".py").replace("/", ".")
    )
    assert "OK" in output and f"Ran {block.text.count('def test_')} test" in output


ATOMIC = """
DATABASES["default"]["ATOMIC_REQUESTS"] = True
"""
DRIVE_API = """
from unittest.mock import patch
from django.contrib.auth.models import User
client.force_login(User.objects.create(username="ann"))
with patch("jobs.tasks.JobTask.apply_async", return_value=None):
    answer = POST
assert (answer.status_code, answer["Retry-After"]) == (202, "2"), answer.content
again = client.get(answer["Location"])
assert (again.status_code, again["Location"]) == (202, answer["Location"])
job = JobRepository().find(again.json()["id"])
assert job.owner == "user:1"
job.start(), job.complete()
ended = client.get(answer["Location"])
assert (ended.status_code, ended.json()["state"]) == (200, "complete")
assert "Retry-After" not in ended
assert Client().get(answer["Location"]).status_code in (401, 404)
stranger = Client()
stranger.force_login(User.objects.create(username="bob"))
assert stranger.get(answer["Location"]).status_code == 404
"""


@pytest.mark.parametrize(
    ("section", "settings", "post"),
    [
        (
            "Django REST framework",
            ATOMIC,
            "client.post('/api/exports/', {'year': 2026}, content_type='application/json')",
        ),
        ("django-ninja", "", "client.post('/api/exports/?year=2026')"),
    ],
)
def test_an_api_answers_202_with_location_and_retry_after(tmp_path, section, settings, post):
    project = (
        Project(tmp_path)
        .copy(TUTORIAL, f"docs/recipes.md#{section}")
        .add("mysite/settings.py", settings)
    )
    project.drive(DRIVE_API.replace("POST", post))


@pytest.mark.parametrize("settings", ["", ATOMIC], ids=["autocommit", "atomic requests"])
def test_an_api_takes_an_idempotency_key(tmp_path, settings):
    project = Project(tmp_path).copy(TUTORIAL, "docs/recipes.md#Django REST framework")
    project.add("mysite/settings.py", settings)
    project.drive("""
from unittest.mock import patch
from django.contrib.auth.models import User

def post(name, **headers):
    client = Client()
    client.force_login(User.objects.get_or_create(username=name)[0])
    with patch("jobs.tasks.JobTask.apply_async", return_value=None):
        answer = client.post(
            "/api/exports-once/", {"year": 2026}, content_type="application/json", headers=headers
        )
    assert answer.status_code == 202, answer.content
    return answer.json()["id"]

first = post("ann", **{"Idempotency-Key": "k1"})
assert post("ann", **{"Idempotency-Key": "k1"}) == first
another_key = post("ann", **{"Idempotency-Key": "k2"})
another_user = post("bob", **{"Idempotency-Key": "k1"})
assert first not in (another_key, another_user, post("ann"))
job = JobRepository().find(first)
job.start(), job.complete()
assert post("ann", **{"Idempotency-Key": "k1"}) != first
""")


@pytest.mark.skipif(django.VERSION < (6,), reason="django.tasks came with Django 6.0")
def test_a_django_task_has_a_waiting_page(tmp_path):
    project = Project(tmp_path).copy(TUTORIAL, "docs/recipes.md#Django tasks")
    project.drive("""
waiting_page = client.post("/export/", {"year": "2026"})["Location"]
assert JobRepository().find(waiting_page.split("/")[2]).state == "complete"
assert b"report-2026.csv is ready." in client.post(waiting_page + "ready/", follow=True).content
""")


DATABASE_BACKEND = """
INSTALLED_APPS += ["django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}
"""


@pytest.mark.skipif(django.VERSION < (6,), reason="django.tasks came with Django 6.0")
def test_another_process_runs_a_django_task_as_a_job(tmp_path):
    project = Project(tmp_path).copy(TUTORIAL, "docs/recipes.md#Django tasks")
    project.add("mysite/settings.py", DATABASE_BACKEND)
    project.drive("""
import subprocess, sys
waiting_page = client.post("/export/", {"year": "2026"})["Location"]
job = JobRepository().find(waiting_page.split("/")[2])
assert (job.state, job.attempt) == ("pending", 0)
subprocess.run([sys.executable, "manage.py", "db_worker", "--batch"], check=True)
job.refresh()
assert (job.state, job.attempt, job.data["file"]) == ("complete", 1, "report-2026.csv"), job.error
assert b"report-2026.csv is ready." in client.post(waiting_page + "ready/", follow=True).content
""")


DRIVE_SOCKETS = """
import asyncio
from channels.testing import WebsocketCommunicator
from mysite.asgi import application

async def answer(path, text):
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    socket = WebsocketCommunicator(application, path, headers=headers)
    assert (await socket.connect())[0]
    await socket.send_to(text_data=text)
    heard = await socket.receive_from()
    await socket.disconnect()
    return heard

assert asyncio.run(answer("/ws/echo/", "hello")) == "hello"
assert "pong" in asyncio.run(answer("/ws/jobs/", '{"action": "ping"}'))
from jobs.doctor.application import find_route
assert "opens /ws/jobs/" in find_route()
"""


@pytest.mark.parametrize("blocks_taken", [2, 3], ids=["below", "in the router"])
def test_the_projects_own_sockets_work_beside_ours(tmp_path, blocks_taken):
    project = Project(tmp_path).copy(TUTORIAL)
    for block in files("docs/recipes.md#Sockets of your own")[:blocks_taken]:
        block.write(tmp_path)
    project.drive(DRIVE_SOCKETS)
