"""The routes, for `include("jobs.urls")`."""

from django.urls import path, re_path

from . import views
from .core.app_label import app_label

app_name = app_label()  # a project with another label reverses "<label>:list"

JOB = r"^(?P<job_id>[A-Za-z0-9_.:-]{1,128})/"

urlpatterns = [
    path("", views.ListView.as_view(), name="list"),
    re_path(JOB + r"$", views.DetailView.as_view(), name="detail"),
    re_path(JOB + r"ready/$", views.ReadyView.as_view(), name="ready"),
    re_path(JOB + r"cancel/$", views.CancelView.as_view(), name="cancel"),
]
