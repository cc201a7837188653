"""The routes, for browsers and for scripts."""

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs import views
from jobs.access import bearer_of, ticket
from jobs.models import JobRecord
from jobs.states import JobState

from .factories import (
    ANN,
    BOB,
    JSON,
    NOWHERE,
    again,
    at_once,
    browser,
    create_job,
    ended_job,
    eventually,
    hash_of,
    plant,
    staff,
    started_job,
)
from .factories import user as create_user

pytestmark = pytest.mark.usefixtures("database_file")

ROUTES = [("get", ""), ("post", "ready/"), ("post", "cancel/")]


@pytest.fixture
def ann():
    """The browser of Ann, a visitor, who owns the jobs."""
    return browser(ANN)


@pytest.fixture
def bob():
    """The browser of a stranger."""
    return browser(BOB)


def url(job, route=""):
    return f"/jobs/{job if isinstance(job, str) else job.id}/{route}"


def hooks():
    return list(Group.objects.order_by("name").values_list("name", flat=True))


def error_of(response):
    """Return everything that could differ between two answers."""
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in ("Set-Cookie", "Expires")
    }
    return response.status_code, response.content, headers


# The waiting page


def test_the_owner_sees_the_waiting_page(ann):
    job = started_job()
    response = ann.get(url(job))
    assert response.status_code == 200
    assert b"Please wait" in response.content and b"Your parcel is on its way." in response.content
    context = response.context
    assert (context["job"].id, context["frame"]["state"]) == (job.id, "running")
    assert context["may_claim"] and context["may_cancel"] and context["claimed_url"] == ""
    assert context["socket_path"] == "/ws/jobs/"


def test_the_page_has_a_ticket_for_its_own_job(ann):
    job = started_job()
    assert bearer_of(ann.get(url(job)).context["ticket"]).topic == f"job:{job.id}"


def test_texts_of_a_job_are_escaped(ann):
    job = started_job()
    job.end(JobState.FAILED, "<script>alert(1)</script>")
    page = ann.get(url(job)).content
    assert b"<script>alert" not in page and b"&lt;script&gt;alert" in page


def test_an_ended_job_offers_no_cancel_and_a_claimed_one_its_link(ann):
    job = ended_job()
    assert not ann.get(url(job)).context["may_cancel"]
    ann.post(url(job, "ready/"))
    response = ann.get(url(job))
    assert (
        response.context["claimed_url"] == "/parcels/" and b'href="/parcels/"' in response.content
    )


def test_an_ended_job_is_shown_after_redis_was_emptied(ann, redis_client):
    job = ended_job()
    redis_client.flushall()
    assert ann.get(url(job)).context["frame"]["state"] == "complete"


@pytest.mark.parametrize(
    "field", [{"handler_class": "shop.Gone"}, {"handler_class": "os.system"}, {"version": "x"}]
)
def test_a_damaged_job_has_a_page_with_a_way_out(ann, redis_client, field):
    job = started_job()
    plant(redis_client, job, **field)
    assert ann.get(url(job)).status_code == 200
    assert ann.get(url(job), **JSON).status_code in (200, 202)
    assert ann.get("/jobs/").status_code == 200


@pytest.mark.parametrize("number", ["Infinity", "1e400", "1" + "0" * 400])
def test_a_huge_number_in_redis_causes_no_500(ann, redis_client, number):
    job = started_job()
    plant(redis_client, job, current=number, total="1")
    for headers in ({}, JSON):
        assert ann.get(url(job), **headers).status_code == 200


# The frame


def test_a_script_gets_202_and_retry_after_until_the_end(ann):
    job = started_job()
    response = ann.get(url(job), **JSON)
    assert (response.status_code, response["Retry-After"]) == (202, "2")
    assert response["Content-Type"] == "application/json"
    frame = response.json()
    assert (frame["event"], frame["job"]["id"], frame["job"]["version"]) == (
        "started",
        job.id,
        job.version,
    )


@pytest.mark.parametrize(
    ("state", "event"), [("complete", "ready"), ("failed", "failed"), ("cancelled", "cancelled")]
)
def test_a_script_gets_200_when_the_job_has_ended(ann, state, event):
    response = ann.get(url(ended_job(JobState(state))), **JSON)
    assert (response.status_code, response.json()["event"]) == (200, event)
    assert "Retry-After" not in response


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/html", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("", "text/html; charset=utf-8"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("image/png", "text/html; charset=utf-8"),
        ("rubbish;;;q=x", "text/html; charset=utf-8"),
    ],
)
def test_the_answer_has_the_content_type_that_the_client_prefers(ann, accept, kind):
    response = ann.get(url(started_job()), HTTP_ACCEPT=accept)
    assert response.status_code < 300 and response["Content-Type"] == kind


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "frame"])
@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_no_answer_may_be_cached(ann, method, route, headers):
    response = getattr(ann, method)(url(ended_job(), route), **headers)
    assert "no-store" in response["Cache-Control"]
    assert {"Accept", "Cookie"} <= set(response["Vary"].split(", "))


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "frame"])
@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_no_refusal_may_be_cached(ann, method, route, headers):
    unknown = getattr(ann, method)(url("nobody", route), **headers)
    wrong_method = ann.put(url(started_job(), route), **headers)
    assert (unknown.status_code, wrong_method.status_code) == (404, 405)
    for response in (unknown, wrong_method):
        assert "no-store" in response["Cache-Control"]


def test_a_missing_job_gets_the_project_s_own_404_page(ann, settings):
    settings.ROOT_URLCONF = "tests.own_urls"
    response = ann.get("/jobs/nobody/")
    assert response.status_code == 404 and b"our own page" in response.content


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "frame"])
def test_the_list_may_not_be_cached(ann, headers):
    assert "no-store" in ann.get("/jobs/", **headers)["Cache-Control"]


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "frame"])
@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    "make", [create_job, started_job, ended_job], ids=["pending", "running", "ended"]
)
def test_a_get_changes_nothing(ann, redis_client, method, headers, make):
    job = make()
    before = hash_of(redis_client, job)
    for path in (url(job), "/jobs/"):
        assert getattr(ann, method)(path, **headers).status_code in (200, 202)
    assert hash_of(redis_client, job) == before
    assert hooks() == [] and not JobRecord.objects.exclude(claimed_at=None).exists()


def test_page_and_frame_show_public_data_but_not_data(ann):
    job = started_job(parcel="books", secret="hunter2")
    page, frame = ann.get(url(job)), ann.get(url(job), **JSON)
    assert b"hunter2" not in page.content + frame.content
    assert frame.json()["job"]["parcel"] == "books"


# Rights


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "frame"])
@pytest.mark.parametrize(("method", "route"), ROUTES)
@pytest.mark.parametrize("session", [BOB, None], ids=["a stranger", "nobody"])
def test_another_person_s_job_is_answered_like_an_unknown_one(
    redis_client, session, method, route, headers
):
    job, client = started_job(), browser(session)
    before = hash_of(redis_client, job)
    hidden = getattr(client, method)(url(job, route), **headers)
    absent = getattr(client, method)(url("nobody", route), **headers)
    assert hidden.status_code == 404
    assert error_of(hidden) == error_of(absent)
    assert hash_of(redis_client, job) == before


def test_other_people_s_jobs_are_not_in_my_list(ann, bob):
    job = started_job()
    assert [one["id"] for one in ann.get("/jobs/", **JSON).json()["jobs"]] == [job.id]
    assert (
        bob.get("/jobs/", **JSON).json() == browser().get("/jobs/", **JSON).json() == {"jobs": []}
    )


@pytest.mark.parametrize(
    ("permissions", "values", "status"),
    [
        (["view_job"], {}, 200),
        ([], {}, 404),
        (["view_jobrecord"], {}, 404),
        (["view_job"], {"is_active": False}, 404),
    ],
    ids=["with the permission", "without", "with another", "inactive"],
)
def test_staff_sees_another_person_s_page_only_with_the_permission(permissions, values, status):
    client = browser(user=staff("sam", *permissions, **values))
    assert client.get(url(started_job())).status_code == status


def test_a_deactivated_user_sees_no_jobs():
    ada = create_user()
    job, client = started_job(owner=ada), browser(user=ada)
    assert client.get(url(job)).status_code == 200
    ada.is_active = False
    ada.save()
    assert client.get(url(job)).status_code == 404


def test_visitors_keep_their_jobs_after_login(ann):
    job = started_job()
    ann.force_login(create_user())
    assert ann.get(url(job)).status_code == 200
    assert [one["id"] for one in ann.get("/jobs/", **JSON).json()["jobs"]] == [job.id]


def test_staff_may_watch_but_not_claim(ann):
    job, client = ended_job(), browser(user=staff("sam", "view_job"))
    page = client.get(url(job))
    assert page.status_code == 200 and not page.context["may_claim"]
    assert f'action="{url(job, "ready/")}"'.encode() not in page.content
    assert client.post(url(job, "ready/"), **JSON).status_code == 403
    response = client.post(url(job, "ready/"))
    assert (response.status_code, response["Location"]) == (303, url(job))
    assert hooks() == []
    assert ann.post(url(job, "ready/"))["Location"] == "/parcels/" and hooks() == ["delivered 0"]


def test_a_job_without_an_owner_is_claimed_by_staff():
    job, client = ended_job(owner=None), browser(user=staff("sam", "view_job"))
    assert client.post(url(job, "ready/"))["Location"] == "/parcels/"


def test_the_bearer_of_a_ticket_may_only_watch(bob):
    job = started_job()
    bearer = {"headers": {"X-Job-Ticket": ticket(f"job:{job.id}")}}
    assert bob.get(url(job), **bearer).status_code == 200
    assert not bob.get(url(job), **bearer).context["may_claim"]
    bob.post(url(job, "cancel/"), **bearer)
    assert not again(job).is_cancel_asked
    job.complete()
    bob.post(url(job, "ready/"), **bearer)
    assert hooks() == []


def test_a_job_without_an_owner_is_claimed_with_its_ticket(bob):
    job = ended_job(owner=None)
    assert bob.post(url(job, "ready/")).status_code == 404
    assert (
        bob.post(url(job, "ready/"), {"ticket": ticket(f"job:{job.id}")})["Location"]
        == "/parcels/"
    )


def test_a_ticket_for_another_job_opens_nothing(bob):
    job = started_job()
    assert bob.get(url(job), headers={"X-Job-Ticket": ticket("job:another")}).status_code == 404


# Ready


def test_calling_back_runs_the_hook_and_redirects_the_owner(ann):
    job = ended_job()
    response = ann.post(url(job, "ready/"))
    assert (response.status_code, response["Location"]) == (303, "/parcels/")
    assert hooks() == ["delivered 0"]
    assert [str(message) for message in ann.get("/jobs/").context["messages"]] == [
        "Your parcel is here."
    ]


def test_a_script_that_calls_back_gets_the_url(ann):
    response = ann.post(url(ended_job(), "ready/"), **JSON)
    assert (response.status_code, response.json()) == (200, {"url": "/parcels/"})


def test_a_second_call_gets_the_same_place_and_runs_nothing(ann):
    job = ended_job()
    answers = [ann.post(url(job, "ready/"), **JSON).json()["url"] for _ in range(2)]
    answers.append(ann.post(url(job, "ready/"))["Location"])
    assert answers == ["/parcels/"] * 3 and hooks() == ["delivered 0"]


def test_twenty_simultaneous_calls_run_the_hook_once():
    job, cookies = ended_job(), browser(ANN).cookies

    def call():
        client = browser()
        client.cookies = cookies
        return client.post(url(job, "ready/"))

    responses = at_once([call] * 20)
    assert [(response.status_code, response["Location"]) for response in responses] == [
        (303, "/parcels/")
    ] * 20
    assert hooks() == ["delivered 0"]
    assert sum("messages" in response.cookies for response in responses) == 1


@pytest.mark.parametrize("make", [create_job, started_job], ids=["pending", "running"])
def test_calling_back_too_early_leads_back_to_the_page(ann, make):
    job = make()
    response = ann.post(url(job, "ready/"))
    assert (response.status_code, response["Location"]) == (303, url(job))
    response = ann.post(url(job, "ready/"), **JSON)
    assert (response.status_code, response.json()["job"]["id"]) == (409, job.id)
    assert hooks() == [] and not again(job).is_ended


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired", "lost"])
def test_any_other_end_runs_on_failed(ann, state):
    job = ended_job(JobState(state))
    assert ann.post(url(job, "ready/"))["Location"] == "/lost-parcels/"
    assert hooks() == ["not delivered 0"]


def test_a_failed_hook_shows_a_way_out_but_not_its_error(ann, redis_client, caplog):
    job = ended_job(fragile=True)
    page = ann.post(url(job, "ready/"))
    frame = ann.post(url(job, "ready/"), **JSON)
    assert (page.status_code, frame.status_code, frame.json()["job"]["state"]) == (
        500,
        500,
        "complete",
    )
    assert page.context["stuck"] and b'href="/jobs/"' in page.content
    assert b"hunter2" not in page.content + frame.content
    assert "the parcel broke, password hunter2" in caplog.text and hooks() == []
    plant(redis_client, job, **{"data.fragile": "false"})
    assert ann.post(url(job, "ready/")).status_code == 303
    assert [str(message) for message in ann.get("/jobs/").context["messages"]] == [
        "Your parcel is here."
    ]


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example/", "https://evil.example/", "javascript:alert(1)", "/\\evil"]
)
def test_nobody_is_redirected_to_another_site(ann, elsewhere, caplog):
    job = ended_job(data={"next": elsewhere})
    assert ann.post(url(job, "ready/"))["Location"] == "/jobs/"
    assert ann.post(url(job, "ready/"), **JSON).json() == {"url": "/jobs/"}
    assert f"job {job.id}: tests.handlers.PostHandler would redirect to" in caplog.text


@pytest.mark.parametrize("after", ["before the hook", "after the hook"])
def test_a_job_is_claimed_once_even_if_redis_is_emptied(ann, redis_client, after):
    job = ended_job()
    if after == "after the hook":
        ann.post(url(job, "ready/"))
    redis_client.flushall()
    for _ in range(2):
        assert ann.post(url(job, "ready/"))["Location"] == "/parcels/"
    assert hooks() == ["delivered 0"]


# Cancel


def test_a_pending_job_is_cancelled_at_once(ann):
    job = create_job()
    response = ann.post(url(job, "cancel/"))
    assert (response.status_code, response["Location"]) == (303, url(job))
    assert again(job).state is JobState.CANCELLED


def test_a_running_job_is_asked_to_stop(ann):
    job = started_job()
    response = ann.post(url(job, "cancel/"), **JSON)
    assert (response.status_code, response.json()["job"]["state"]) == (200, "running")
    assert again(job).is_cancel_asked


def test_cancelling_twice_or_after_the_end_is_harmless(ann):
    done, pending = ended_job(), create_job()
    assert ann.post(url(done, "cancel/")).status_code == 303
    assert (
        ann.post(url(pending, "cancel/")).status_code
        == ann.post(url(pending, "cancel/")).status_code
        == 303
    )
    assert (again(done).state, again(pending).state) == (JobState.COMPLETE, JobState.CANCELLED)


def test_staff_may_cancel():
    job = create_job()
    browser(user=staff("sam", "view_job")).post(url(job, "cancel/"))
    assert again(job).state is JobState.CANCELLED


def test_staff_may_kill_a_deaf_task_and_the_owner_may_not(ann, monkeypatch):
    killed = []
    monkeypatch.setattr(views, "terminate", lambda job: killed.append(job.id))
    sam, job = browser(user=staff("sam", "view_job")), started_job()
    sam.post(url(job, "cancel/"), {"terminate": "1"})
    assert killed == [] and again(job).is_cancel_asked
    ann.post(url(job, "cancel/"), {"terminate": "1"})
    assert killed == []
    sam.post(url(job, "cancel/"), {"terminate": "1"})
    assert killed == [job.id]


# CSRF and methods


@pytest.mark.parametrize("route", ["ready/", "cancel/"])
@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "frame"])
def test_a_post_without_the_token_is_forbidden_and_changes_nothing(redis_client, route, headers):
    client, job = browser(ANN, enforce_csrf_checks=True), ended_job()
    pending = create_job()
    before = hash_of(redis_client, job), hash_of(redis_client, pending)
    assert client.post(url(job, route), **headers).status_code == 403
    assert client.post(url(pending, route), **headers).status_code == 403
    assert (hash_of(redis_client, job), hash_of(redis_client, pending)) == before and hooks() == []


def test_a_post_with_the_page_s_token_is_accepted():
    client, job = browser(ANN, enforce_csrf_checks=True), ended_job()
    token = client.get(url(job)).context["csrf_token"]
    assert client.post(url(job, "cancel/"), {"csrfmiddlewaretoken": str(token)}).status_code == 303
    assert client.post(url(job, "ready/"), headers={"X-CSRFToken": str(token)}).status_code == 303


def test_the_token_is_required_even_without_django_s_csrf_middleware(settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    client, job = browser(ANN, enforce_csrf_checks=True), create_job()
    assert client.post(url(job, "cancel/")).status_code == 403
    assert again(job).state is JobState.PENDING


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
@pytest.mark.parametrize("route", ["ready/", "cancel/"])
def test_ready_and_cancel_accept_only_post(ann, method, route):
    job = create_job() if route == "cancel/" else ended_job()
    assert getattr(ann, method)(url(job, route)).status_code == 405
    assert again(job).state is job.state and hooks() == []


@pytest.mark.parametrize("method", ["post", "put", "delete"])
@pytest.mark.parametrize("path", ["/jobs/", "/jobs/parcel-1/"])
def test_page_and_list_accept_only_get(ann, method, path):
    create_job(id="parcel-1")
    assert getattr(ann, method)(path).status_code == 405


# Deadlines


def test_the_page_of_a_job_nobody_started_in_time_shows_expired(ann, settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.02}
    job = create_job()
    eventually(lambda: ann.get(url(job), **JSON).json()["event"] == "expired")
    assert ann.get(url(job)).context["frame"]["state"] == "expired"


def test_the_list_shows_a_job_without_its_worker_as_lost(ann, settings):
    settings.JOBS = settings.JOBS | {"LOST_AFTER": 0.02}
    started_job()
    eventually(
        lambda: [job["state"] for job in ann.get("/jobs/", **JSON).json()["jobs"]] == ["lost"]
    )


# The list


def test_the_list_shows_my_newest_jobs_first(ann):
    jobs = [started_job(), ended_job(), create_job()]
    response = ann.get("/jobs/")
    assert [frame["id"] for frame in response.context["frames"]] == [
        job.id for job in reversed(jobs)
    ]
    assert response.context["socket_path"] == "/ws/jobs/" and response.status_code == 200


def test_an_empty_list_is_a_page():
    assert browser().get("/jobs/").status_code == 200


# Outages and invalid input


@pytest.mark.parametrize("path", ["/jobs/parcel-1/", "/jobs/"])
@pytest.mark.parametrize("without", ["", "jobs.middleware.StoreUnavailableMiddleware"])
def test_without_the_store_a_plain_page_says_so(ann, settings, path, without):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != without]
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    response = ann.get(path)
    assert response.status_code == 503 and response["Retry-After"]
    assert b"Traceback" not in response.content


def test_an_ended_job_is_shown_and_claimed_without_the_store(ann, settings):
    job = ended_job()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    assert ann.get(url(job)).status_code == 200
    assert ann.post(url(job, "ready/"))["Location"] == "/parcels/"
    assert hooks() == ["delivered 0"]


def test_login_required_everywhere_still_lets_visitors_see_their_jobs(ann, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert ann.get(url(started_job())).status_code == 200


def test_hooks_run_in_a_transaction_of_their_own():
    assert getattr(views.ReadyView.as_view(), "_non_atomic_requests", set()) == {"default"}


TEXT = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["get", "post", "head", "put", "delete", "options", "patch"]),
    st.sampled_from(["", "ready/", "cancel/", "other/"]),
    TEXT,
    st.sampled_from(["testserver", "evil.example", "", "a b", "testserver:99999"]),
    TEXT,
)
def test_no_request_causes_a_500(method, route, accept, host, cookie):
    client = browser()
    client.raise_request_exception = False
    for job in ("parcel-1", "x" * 129):
        response = getattr(client, method)(
            url(job, route), HTTP_ACCEPT=accept, HTTP_HOST=host, HTTP_COOKIE=f"sessionid={cookie}"
        )
        assert response.status_code < 500


@pytest.fixture
def database_full(monkeypatch):
    """Let the database refuse every connection, even for the session."""

    def refuse(self):
        raise OperationalError("FATAL: sorry, too many clients already")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", refuse)


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "json"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("get", "{}/"), ("post", "{}/ready/"), ("post", "{}/cancel/")],
)
def test_f45_a_database_that_refuses_connections_is_a_503(
    ann, database_full, method, path, headers
):
    job = ended_job()
    response = getattr(ann, method)("/jobs/" + path.format(job.id), **headers)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert b"Try again" in response.content
