"""The example as a Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ClassroomsConfig(AppConfig):
    """Schools, their classrooms, and the jobs that teachers start there."""

    name = "project.classrooms"
    verbose_name = _("Classrooms")
