"""The project's addresses, and the one that celery-progress' pages ask."""

from django.urls import include, path

urlpatterns = [
    path("celery-progress/", include("celery_progress.urls")),
    path("", include("project.urls")),
]
