"""Vacancies in the admin."""

from django.contrib import admin

from .models import JobRecord

admin.site.register(JobRecord)
