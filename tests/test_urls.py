"""The routes of the pages."""

import pytest
from django.urls import NoReverseMatch, Resolver404, resolve, reverse


@pytest.mark.parametrize(
    ("name", "args", "path"),
    [
        ("jobs:list", [], "/jobs/"),
        ("jobs:detail", ["parcel-1"], "/jobs/parcel-1/"),
        ("jobs:ready", ["parcel-1"], "/jobs/parcel-1/ready/"),
        ("jobs:cancel", ["parcel-1"], "/jobs/parcel-1/cancel/"),
    ],
)
def test_every_route_has_its_name(name, args, path):
    assert reverse(name, args=args) == path
    assert resolve(path).view_name == name
    assert list(resolve(path).kwargs.values()) == args


@pytest.mark.parametrize("job_id", ["a", "x" * 128, "A-Z_0.9:z", "..", "ready", "cancel"])
def test_any_id_has_its_page(job_id):
    assert resolve(reverse("jobs:detail", args=[job_id])).kwargs == {"job_id": job_id}


@pytest.mark.parametrize(
    "job_id", ["", "a/b", "x" * 129, "a b", "ü", "\x00", "a\n", "{}", "*", "%2e"]
)
def test_an_invalid_id_has_no_page(job_id):
    with pytest.raises(NoReverseMatch):
        reverse("jobs:detail", args=[job_id])


@pytest.mark.parametrize(
    "path", ["/jobs/a b/", "/jobs/a/other/", "/jobs/a/ready/x/", "/jobs/ü/", "/jobs/a\n/"]
)
def test_other_paths_below_a_job_are_unknown(path):
    with pytest.raises(Resolver404):
        resolve(path)
