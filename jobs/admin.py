"""The archive in the admin: to look at, search and filter, never to write."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from .models import JobRecord


@admin.register(JobRecord)
class JobRecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: the workers write the archive."""

    list_display = ("id", "state", "handler_class", "owner", "created_at", "ended_at", "claimed_at")
    list_filter = ("state", "handler_class", "ended_at")
    search_fields = ("id", "owner")
    ordering = ("-ended_at",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff with `jobs.view_job` look, as everywhere."""
        return super().has_view_permission(request, obj) or request.user.has_perm("jobs.view_job")
