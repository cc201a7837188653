"""The archive in the admin: ended jobs to read, search and filter, never to write."""

import json
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from jobs.archive.database_time import seconds_between
from jobs.core.app_label import permission
from jobs.handlers import handler_paths
from jobs.models import JobRecord
from jobs.states import JobState

from .display import short_handler, shown_owner
from .pages import AlivePage
from .rerun import RerunPage
from .summary import SummaryPage

MAX_PAGES = 200  # that the list offers


class HandlerFilter(admin.SimpleListFilter):
    """Offers the loaded handlers, because a query of a million rows would take too long."""

    title = _("handler")
    parameter_name = "handler"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [(name, short_handler(name)) for name in handler_paths()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobRecord]) -> QuerySet[JobRecord]:
        """Filter by the choice."""
        return queryset.filter(handler_class=self.value()) if self.value() else queryset


class ShallowPaginator(Paginator):  # type: ignore[type-arg]
    """Offers the first pages only, because a database reads every row that a deep page skips."""

    @cached_property
    def num_pages(self) -> int:
        """Return how many pages are offered."""
        return min(MAX_PAGES, super().num_pages)


@admin.register(JobRecord)
class JobRecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: the workers write the archive, and `purge_jobs` deletes from it.

    The list is quick at a million rows: it searches and sorts by indexed columns, and does not
    load the data.
    """

    list_display = (
        "id",
        "state",
        "handler",
        "shown_owner",
        "ended_at",
        "waited",
        "ran",
        "claimed_at",
    )
    list_filter = ("state", HandlerFilter, "ended_at")
    list_per_page = 50
    paginator = ShallowPaginator
    ordering = ("-ended_at",)
    search_fields = ("id__exact", "owner__exact")
    search_help_text = _("A job's whole id, or an owner such as user:5")
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ("ended_at",)
    change_list_template = "jobs/admin/change_list.html"
    change_form_template = "jobs/admin/change_form.html"
    fieldsets: ClassVar[Any] = [
        (
            None,
            {
                "fields": (
                    *("id", "state", "error", "progress", "handler_class"),
                    *("shown_owner", "tags", "attempt"),
                )
            },
        ),
        (
            _("Times"),
            {"fields": ("created_at", "started_at", "ended_at", "claimed_at", "waited", "ran")},
        ),
        (_("Where its owner was sent"), {"fields": ("claimed_url",)}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobRecord]:
        """Load the large column only when somebody opens one job."""
        return super().get_queryset(request).defer("stored")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the data to superusers only, because it may be private."""
        data: list[Any] = [(_("Data"), {"fields": ("data",)})] if request.user.is_superuser else []
        return self.fieldsets + data

    def get_urls(self) -> list[URLPattern]:
        """Add the pages beside the list."""
        pages = {"alive/": AlivePage, "summary/": SummaryPage, "<path:job_id>/rerun/": RerunPage}
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        ours = [
            path(
                route,
                self.admin_site.admin_view(page.as_view(model_admin=self)),
                name=f"{prefix}_{route.rstrip('/').rpartition('/')[2]}",
            )
            for route, page in pages.items()
        ]
        return ours + super().get_urls()

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Add whether this member of staff may run the job again."""
        context["may_rerun"] = request.user.has_perm(permission("rerun_job"))
        return super().render_change_form(request, context, *args, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes: the row keeps `on_ready` from running twice while Redis has the job."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff with `jobs.view_job` may read, as everywhere else."""
        return super().has_view_permission(request, obj) or request.user.has_perm(
            permission("view_job")
        )

    @admin.display(description=_("handler"))
    def handler(self, row: JobRecord) -> str:
        """Name the handler without its package."""
        return short_handler(row.handler_class)

    @admin.display(description=_("owner"))
    def shown_owner(self, row: JobRecord) -> str:
        """Name the owner, without most of a visitor's token."""
        return shown_owner(row.owner)

    @admin.display(description=_("waited"))
    def waited(self, row: JobRecord) -> str | None:
        """Return how long the job waited for a worker."""
        return _seconds(row.created_at, row.started_at) if row.started_at else None

    @admin.display(description=_("ran"))
    def ran(self, row: JobRecord) -> str | None:
        """Return how long its last attempt took."""
        return _seconds(row.started_at, row.ended_at) if row.started_at else None

    @admin.display(description=_("error"))
    def error(self, row: JobRecord) -> str:
        """Return the error that its owner saw."""
        return row.to_record().error

    @admin.display(description=_("progress"))
    def progress(self, row: JobRecord) -> str:
        """Return how far the job came."""
        record = row.to_record()
        total = f" / {record.total:g}" if record.total else ""
        is_all = record.state is JobState.COMPLETE and not record.current
        return "" if is_all else f"{record.current:g}{total} {record.note}".strip()

    @admin.display(description=_("tags"))
    def tags(self, row: JobRecord) -> str:
        """Return its tags."""
        return ", ".join(row.to_record().tags)

    @admin.display(description=_("attempts"))
    def attempt(self, row: JobRecord) -> int:
        """Return how often a worker started it."""
        return row.to_record().attempt

    @admin.display(description=_("data"))
    def data(self, row: JobRecord) -> str:
        """Return the job's data as JSON."""
        values = {key: json.loads(text) for key, text in row.to_record().data.items()}
        return format_html(
            "<pre>{}</pre>", json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True)
        )


def _seconds(start: datetime, end: datetime) -> str:
    return f"{seconds_between(start, end):.1f} s"
