"""The runnable project's addresses, with those that a monitor asks."""

from django.urls import path

from jobs.health import health
from jobs.metrics import expose
from project.urls import urlpatterns as of_the_project

urlpatterns = [path("health/", health), path("metrics", expose), *of_the_project]
