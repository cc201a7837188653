"""The board's addresses, in the namespace `jobs`."""

from django.http import HttpResponse
from django.urls import path

app_name = "jobs"

urlpatterns = [
    path("", lambda request: HttpResponse("the board"), name="list"),
    path("<slug:job_id>/", lambda request, job_id: HttpResponse("a vacancy"), name="detail"),
]
