"""The example's addresses, and those for a monitor."""

from django.urls import path

from jobs.health import health
from project.urls import urlpatterns as example

urlpatterns = [path("health/", health), *example]
