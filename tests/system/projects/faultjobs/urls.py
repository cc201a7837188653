"""The project's addresses, and ours to start any task of this app."""

from django.urls import path

from project.urls import urlpatterns as project_urls

from . import views

urlpatterns = [
    path("faults/staff/", views.become_staff),
    path("faults/canvas/<kind>/", views.start_a_canvas),
    path("faults/<task>/", views.start),
    path("faults/<task>/caught/", views.catch),
    path("faults/<task>/rolled-back/", views.roll_back),
    *project_urls,
]
