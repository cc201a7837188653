"""The addresses of a project whose own app has the namespace `jobs`."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path

from .views import start

urlpatterns = [
    path("", lambda request: HttpResponse("home")),
    path("admin/", admin.site.urls),
    path("start/", start),
    path("jobs/", include("tests.system.projects.sites.jobs.urls")),
    path("waitroom/", include("jobs.urls")),
]
