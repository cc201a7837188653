"""Who a viewer is, and what they may see, claim, cancel and listen to."""

import itertools
import time

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from jobs.access import (
    TICKET_SALT,
    Viewer,
    bearer_of,
    owner_of,
    ticket,
    viewer_of,
    viewer_of_scope,
)
from jobs.core.record import Record
from jobs.exceptions import JobNotFound
from jobs.job import Job
from jobs.states import JobState

from .factories import ANN, BOB, OWNER, browser, create_job, request_of, staff, user

pytestmark = pytest.mark.usefixtures("database_file")

ANNS = Job(Record("parcel-1", owner=OWNER, tags=("post",)))
NOBODYS = Job(Record("parcel-2"))


# Who a viewer is


def test_a_visitor_s_owner_name_comes_from_the_session():
    assert viewer_of(request_of(ANN)) == Viewer((OWNER,))
    assert viewer_of(request_of({})) == viewer_of(request_of(None, AnonymousUser())) == Viewer()


def test_after_login_a_person_is_both_user_and_visitor():
    ada = user()
    assert viewer_of(request_of({}, ada)) == Viewer((f"user:{ada.pk}",))
    assert viewer_of(request_of(ANN, ada)) == Viewer((f"user:{ada.pk}", OWNER))


def test_staff_with_the_permission_see_all_jobs():
    assert viewer_of(request_of({}, staff("sam", "view_job"))).is_staff
    assert viewer_of(request_of({}, user("root", is_staff=True, is_superuser=True))).is_staff


@pytest.mark.parametrize(
    "make",
    [
        lambda: staff("sam"),
        lambda: staff("sam", "view_jobrecord"),
        lambda: staff("sam", "view_job", is_active=False),
        lambda: user("ada", is_superuser=True),
    ],
    ids=["no permission", "another permission", "inactive", "not staff"],
)
def test_without_the_permission_nobody_sees_all_jobs(make):
    assert not viewer_of(request_of({}, make())).is_staff


def test_a_user_who_was_deactivated_owns_nothing():
    assert viewer_of(request_of({}, user(is_active=False))) == Viewer()


def test_a_project_without_users_or_sessions_has_viewers():
    assert viewer_of(RequestFactory().get("/")) == Viewer()


async def test_a_socket_s_viewer_comes_from_the_session():
    assert await viewer_of_scope({"session": ANN}) == Viewer((OWNER,))
    assert await viewer_of_scope({}) == Viewer()


@pytest.fixture
def ada():
    return user()


@pytest.fixture
def ada_s_session(ada):
    return browser(ANN, ada).session


async def test_a_user_s_socket_belongs_to_user_and_visitor(ada, ada_s_session):
    assert await viewer_of_scope({"session": ada_s_session}) == Viewer((f"user:{ada.pk}", OWNER))


async def test_a_socket_s_user_may_come_from_the_project_s_middleware(ada):
    assert await viewer_of_scope({"user": ada}) == Viewer((f"user:{ada.pk}",))


# Who owns new jobs


def test_a_user_owns_their_new_jobs():
    ada = user()
    assert owner_of(request_of(ANN, ada)) == f"user:{ada.pk}"


def test_a_visitor_gets_a_random_token_once():
    request, other = request_of({}, AnonymousUser()), request_of({}, AnonymousUser())
    first = owner_of(request)
    assert first == owner_of(request) != owner_of(other)
    assert first.startswith("visitor:") and len(first) > 30
    assert viewer_of(request).owns(Job(Record("parcel-1", owner=first)))


def test_a_request_without_user_and_session_gets_advice():
    with pytest.raises(
        ImproperlyConfigured, match="/pay/ has neither a user nor a session.*SessionMiddleware"
    ):
        owner_of(RequestFactory().get("/pay/"))


def test_a_visitor_s_token_survives_login(ada):
    client = browser(ANN)
    before = client.session.session_key
    client.force_login(ada)
    assert client.session.session_key != before
    assert client.session["jobs_visitor"] == "ann"


# What they may


EVERYBODY = {
    "owner": Viewer((OWNER,)),
    "stranger": Viewer(("visitor:bob",)),
    "nobody": Viewer(),
    "staff": Viewer(is_staff=True),
    "job's ticket": Viewer(topic="job:parcel-1"),
    "owner's ticket": Viewer(topic=f"owner:{OWNER}"),
    "tag's ticket": Viewer(topic="tag:post"),
    "another job's ticket": Viewer(topic="job:parcel-9"),
    "another tag's ticket": Viewer(topic="tag:other"),
}


def who(may, job):
    return {name for name, viewer in EVERYBODY.items() if getattr(viewer, may)(job)}


def test_owner_staff_and_bearers_of_its_tickets_see_a_job():
    assert who("may_see", ANNS) == {
        "owner",
        "staff",
        "job's ticket",
        "owner's ticket",
        "tag's ticket",
    }


def test_only_the_owner_may_claim_an_owned_job():
    assert who("may_claim", ANNS) == {"owner"}


def test_staff_and_bearers_may_claim_a_job_without_an_owner():
    assert who("may_claim", NOBODYS) == {"staff"}
    assert Viewer(topic="job:parcel-2").may_claim(NOBODYS)


def test_only_owner_and_staff_may_cancel():
    assert who("may_cancel", ANNS) == {"owner", "staff"}


@pytest.mark.parametrize(
    ("state", "asked", "who_may"),
    [
        (JobState.RUNNING, True, {"staff"}),
        (JobState.RUNNING, False, set()),
        (JobState.CANCELLED, True, set()),
    ],
)
def test_staff_may_kill_a_task_only_after_asking_it_to_stop(state, asked, who_may):
    job = Job(ANNS.record.replace(state=state, cancel_asked=asked))
    assert who("may_terminate", job) == who_may


def test_a_job_without_an_owner_belongs_to_nobody():
    assert who("owns", NOBODYS) == set()


def test_a_stranger_s_job_is_answered_like_a_missing_one():
    job = create_job()
    with pytest.raises(JobNotFound) as hidden:
        Viewer(("visitor:bob",)).find(job.id)
    with pytest.raises(JobNotFound) as absent:
        Viewer(("visitor:bob",)).find("nobody")
    assert str(hidden.value).replace(job.id, "nobody") == str(absent.value)
    assert Viewer((OWNER,)).find(job.id).id == job.id


# What they may listen to


@pytest.mark.parametrize(
    ("viewer", "target", "topics"),
    [
        (Viewer(), {"job": "parcel-1"}, ["job:parcel-1"]),
        (Viewer(), {"job": "../etc"}, []),
        (Viewer(("user:7", OWNER)), {"mine": True}, ["owner:user:7", f"owner:{OWNER}"]),
        (Viewer(), {"mine": True}, []),
        (Viewer(topic=f"owner:{OWNER}"), {"mine": True}, [f"owner:{OWNER}"]),
        (Viewer(topic="job:parcel-1"), {"mine": True}, []),
        (Viewer((OWNER,)), {"tag": "post"}, []),
        (Viewer(is_staff=True), {"tag": "post"}, ["tag:post"]),
        (Viewer(topic="tag:post"), {"tag": "post"}, ["tag:post"]),
        (Viewer(topic="tag:post"), {"tag": "other"}, []),
        (Viewer(is_staff=True), {}, []),
        (Viewer(is_staff=True), {"mine": False}, []),
        (Viewer(is_staff=True), {"job": 7}, []),
    ],
)
def test_people_may_listen_to_a_job_their_own_jobs_or_a_tag(viewer, target, topics):
    assert viewer.topics_for(target) == topics


# Tickets


def test_a_ticket_opens_its_topic_without_a_session():
    assert bearer_of(ticket("job:parcel-1")) == Viewer(topic="job:parcel-1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        ticket("job:parcel-1")[:-1],
        ticket("job:parcel-1").replace(":", ";"),
        "A" + ticket("job:parcel-1"),
        signing.dumps("job:parcel-1"),
        signing.dumps("job:parcel-1", salt="another"),
        signing.dumps("job:parcel-1", salt=TICKET_SALT, key="another"),
        signing.dumps(["job:parcel-1"], salt=TICKET_SALT),
        "\ud800",
        "\x00" * 10,
        7,
        {"a": 1},
        None,
    ],
    ids=itertools.count(),  # a ticket contains the time when it was made, so it makes no stable id
)
def test_an_invalid_ticket_opens_nothing(text):
    assert bearer_of(text) is None


def test_a_ticket_expires(settings):
    old = ticket("job:parcel-1")
    settings.JOBS = settings.JOBS | {"TICKET_AGE": 0.01}
    time.sleep(0.02)
    assert bearer_of(old) is None


def test_a_request_carries_its_ticket_in_a_header_or_a_form():
    given = ticket("job:parcel-1")
    by_header = request_of({}, headers={"X-Job-Ticket": given})
    by_form = RequestFactory().post("/", {"ticket": given})
    assert viewer_of(by_header).topic == viewer_of(by_form).topic == "job:parcel-1"


def test_a_ticket_in_a_url_is_ignored():
    assert viewer_of(request_of({}, path=f"/?ticket={ticket('job:parcel-1')}")) == Viewer()


def test_with_a_bad_ticket_the_session_still_counts():
    assert viewer_of(request_of(ANN, headers={"X-Job-Ticket": "x"})) == Viewer((OWNER,))
    assert viewer_of(request_of(BOB, headers={"X-Job-Ticket": ticket("tag:a")})) == Viewer(
        ("visitor:bob",), topic="tag:a"
    )
