"""The archive in the admin can be read, never written."""

import pytest
from django.contrib import admin
from django.test import RequestFactory

from jobs.core.record import Record
from jobs.models import JobRecord
from jobs.states import JobState
from tests.factories import browser, staff, user

pytestmark = pytest.mark.django_db

LIST = "/admin/jobs/jobrecord/"


@pytest.fixture
def archived():
    record = Record(
        "parcel-1", JobState.FAILED, version=9, owner="visitor:ann", created_at=1, ended_at=2
    )
    JobRecord.objects.store(record.replace(data={"parcel": '"books"'}))
    JobRecord.objects.store(record.replace(id="parcel-2", owner="visitor:bob"))


def listed(response):
    return sorted(row.pk for row in response.context["cl"].result_list)


@pytest.mark.usefixtures("archived")
def test_staff_who_may_watch_jobs_see_the_archive(sam):
    response = sam.get(LIST)
    assert response.status_code == 200 and listed(response) == ["parcel-1", "parcel-2"]
    assert sam.get(f"{LIST}parcel-1/change/").status_code == 200


@pytest.mark.usefixtures("archived")
def test_other_staff_do_not_see_the_archive(client):
    assert browser(user=staff("tom")).get(LIST).status_code == 403
    assert client.get(LIST).status_code == 302


@pytest.mark.usefixtures("archived")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=parcel-1", ["parcel-1"]),
        ("q=visitor:bob", ["parcel-2"]),
        ("state__exact=failed", ["parcel-1", "parcel-2"]),
        ("state__exact=complete", []),
    ],
)
def test_the_archive_can_be_searched_and_filtered(sam, query, found):
    assert listed(sam.get(f"{LIST}?{query}")) == found


@pytest.mark.usefixtures("archived")
def test_not_even_a_superuser_writes_to_the_archive():
    root = browser(user=user("root", is_staff=True, is_superuser=True))
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(f"{LIST}parcel-1/change/", {"state": "complete"}).status_code == 403
    assert JobRecord.objects.get(pk="parcel-1").state == "failed"


def test_the_model_admin_lets_nobody_add_or_change():
    request = RequestFactory().get("/")
    request.user = user("root", is_staff=True, is_superuser=True)
    site = admin.site.get_model_admin(JobRecord)
    assert not site.has_add_permission(request) and not site.has_change_permission(request)
    assert site.has_view_permission(request)
