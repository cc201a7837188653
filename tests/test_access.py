"""The one door to jobs: who somebody is, and what they may see, claim, cancel and listen to."""

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


# Who somebody is


def test_a_visitor_is_the_owner_that_the_session_says():
    assert viewer_of(request_of(ANN)) == Viewer((OWNER,))
    assert viewer_of(request_of({})) == viewer_of(request_of(None, AnonymousUser())) == Viewer()


def test_a_user_is_an_owner_and_after_login_the_visitor_too():
    ada = user()
    assert viewer_of(request_of({}, ada)) == Viewer((f"user:{ada.pk}",))
    assert viewer_of(request_of(ANN, ada)) == Viewer((f"user:{ada.pk}", OWNER))


def test_staff_with_the_permission_may_look_at_all_jobs():
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
def test_others_may_not(make):
    assert not viewer_of(request_of({}, make())).is_staff


def test_a_user_who_was_deactivated_owns_nothing():
    assert viewer_of(request_of({}, user(is_active=False))) == Viewer()


def test_a_project_without_users_or_sessions_has_viewers_too():
    assert viewer_of(RequestFactory().get("/")) == Viewer()


async def test_who_opens_a_socket_is_who_the_session_says():
    assert await viewer_of_scope({"session": ANN}) == Viewer((OWNER,))
    assert await viewer_of_scope({}) == Viewer()


@pytest.fixture
def ada():
    return user()


@pytest.fixture
def ada_s_session(ada):
    return browser(ANN, ada).session


async def test_a_user_s_socket_is_the_user_s_and_the_visitor_s(ada, ada_s_session):
    assert await viewer_of_scope({"session": ada_s_session}) == Viewer((f"user:{ada.pk}", OWNER))


async def test_a_socket_s_user_may_come_from_a_middleware_of_the_project_s(ada):
    assert await viewer_of_scope({"user": ada}) == Viewer((f"user:{ada.pk}",))


# Whose new jobs are


def test_a_user_s_new_jobs_are_the_user_s():
    ada = user()
    assert owner_of(request_of(ANN, ada)) == f"user:{ada.pk}"


def test_a_visitor_gets_a_random_token_once():
    request, other = request_of({}, AnonymousUser()), request_of({}, AnonymousUser())
    first = owner_of(request)
    assert first == owner_of(request) != owner_of(other)
    assert first.startswith("visitor:") and len(first) > 30
    assert viewer_of(request).owns(Job(Record("parcel-1", owner=first)))


def test_a_new_job_without_user_and_session_is_refused_with_advice():
    with pytest.raises(
        ImproperlyConfigured, match="/pay/ has neither a user nor a session.*SessionMiddleware"
    ):
        owner_of(RequestFactory().get("/pay/"))


def test_a_visitor_stays_the_same_when_logging_in(ada):
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


def test_a_job_is_seen_by_its_owner_staff_and_the_bearers_of_its_tickets():
    assert who("may_see", ANNS) == {
        "owner",
        "staff",
        "job's ticket",
        "owner's ticket",
        "tag's ticket",
    }


def test_only_the_owner_may_claim():
    assert who("may_claim", ANNS) == {"owner"}


def test_a_job_without_an_owner_is_claimed_by_staff_or_with_its_ticket():
    assert who("may_claim", NOBODYS) == {"staff"}
    assert Viewer(topic="job:parcel-2").may_claim(NOBODYS)


def test_owner_and_staff_may_cancel():
    assert who("may_cancel", ANNS) == {"owner", "staff"}


@pytest.mark.parametrize(
    ("state", "asked", "who_may"),
    [
        (JobState.RUNNING, True, {"staff"}),
        (JobState.RUNNING, False, set()),
        (JobState.CANCELLED, True, set()),
    ],
)
def test_only_staff_may_kill_a_task_and_only_one_that_does_not_listen(state, asked, who_may):
    job = Job(ANNS.record.replace(state=state, cancel_asked=asked))
    assert who("may_terminate", job) == who_may


def test_a_job_without_an_owner_is_nobody_s():
    assert not Viewer().owns(NOBODYS)
    assert who("owns", NOBODYS) == set()


def test_a_stranger_s_look_ends_like_one_for_a_job_that_is_not_there():
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
def test_one_may_listen_to_a_job_one_s_own_or_with_rights_a_tag(viewer, target, topics):
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
    ids=itertools.count(),  # a ticket holds the time at which it was made
)
def test_a_ticket_that_is_none_opens_nothing(text):
    assert bearer_of(text) is None


def test_a_ticket_expires(settings):
    old = ticket("job:parcel-1")
    settings.JOBS = settings.JOBS | {"TICKET_AGE": 0.01}
    time.sleep(0.02)
    assert bearer_of(old) is None


def test_a_ticket_comes_with_a_request_in_a_header_or_in_a_form():
    given = ticket("job:parcel-1")
    by_header = request_of({}, headers={"X-Job-Ticket": given})
    by_form = RequestFactory().post("/", {"ticket": given})
    assert viewer_of(by_header).topic == viewer_of(by_form).topic == "job:parcel-1"


def test_a_ticket_in_an_address_is_not_looked_at():
    assert viewer_of(request_of({}, path=f"/?ticket={ticket('job:parcel-1')}")) == Viewer()


def test_a_bad_ticket_leaves_who_the_session_says():
    assert viewer_of(request_of(ANN, headers={"X-Job-Ticket": "x"})) == Viewer((OWNER,))
    assert viewer_of(request_of(BOB, headers={"X-Job-Ticket": ticket("tag:a")})) == Viewer(
        ("visitor:bob",), topic="tag:a"
    )
