"""The example's addresses."""

from django.urls import path

from . import views

app_name = "classrooms"

urlpatterns = [
    path("", views.classroom_list, name="list"),
    path("dashboard/", views.dashboard, name="dashboard"),
    path("classrooms/<int:pk>/", views.detail, name="detail"),
    path("drills/", views.drills, name="drills"),
    path("drills/<str:job_id>/", views.drill, name="drill"),
    path("classrooms/<int:pk>/watch/", views.watch, name="watch"),
    path("classrooms/<int:pk>/transfer/", views.transfer, name="transfer"),
    path("classrooms/<int:pk>/import/", views.import_students, name="import"),
    path("classrooms/<int:pk>/import/sample.csv", views.sample, name="sample"),
    path(
        "classrooms/<int:pk>/import/mistakes.csv",
        views.sample_with_mistakes,
        name="sample_with_mistakes",
    ),
    path("imports/<int:pk>/", views.report, name="report"),
]
