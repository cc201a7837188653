"""A project with a page of its own for what is not there."""

from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [path("jobs/", include("jobs.urls"))]


def handler404(request, exception):
    """Say it in the project's own words."""
    return HttpResponse("our own page", status=404)
