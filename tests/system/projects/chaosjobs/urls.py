"""The project's addresses, and ours to start any task of this app."""

from django.urls import path

from project.urls import urlpatterns as project_urls

from .views import start

urlpatterns = [path("chaos/<task>/", start), *project_urls]
