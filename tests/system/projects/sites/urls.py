"""The addresses of most of the projects."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path

from .views import start

urlpatterns = [
    path("", lambda request: HttpResponse("home")),
    path("admin/", admin.site.urls),
    path("start/", start),
    path("jobs/", include("jobs.urls")),
]
