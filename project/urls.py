"""The project's URLs: the admin, login and logout, the jobs, and the example at the root."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

# The login page names the sample users only while DEBUG is on, never at a real school.
login = LoginView.as_view(
    redirect_authenticated_user=True, extra_context={"sample_users": settings.DEBUG}
)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/login/", login, name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("jobs/", include("jobs.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("project.classrooms.urls")),
]
