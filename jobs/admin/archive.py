"""Jobs in the admin: what has ended, to look at, search and filter, never to write; and two pages beside the list."""

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

from .pages import AlivePage, RerunPage, SummaryPage, short_handler, shown_owner

MAX_PAGES = 200


class HandlerFilter(admin.SimpleListFilter):
    """Offers the handlers that are loaded; to ask a million rows for theirs would take too long."""

    title = _("handler")
    parameter_name = "handler"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [(name, short_handler(name)) for name in handler_paths()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobRecord]) -> QuerySet[JobRecord]:
        """Filter by the choice."""
        return queryset.filter(handler_class=self.value()) if self.value() else queryset


class ShallowPaginator(Paginator):  # type: ignore[type-arg]
    """Counts all, and offers the first pages only: a database walks over every row that a deep page skips."""

    @cached_property
    def num_pages(self) -> int:
        """Return how many pages are offered."""
        return min(MAX_PAGES, super().num_pages)


@admin.register(JobRecord)
class JobRecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: the workers write the archive, `purge_jobs` deletes from it.

    The list is quick at a million rows: it searches and sorts by what has an index, and does not load the data.
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
                    "id",
                    "state",
                    "error",
                    "progress",
                    "handler_class",
                    "shown_owner",
                    "tags",
                    "attempt",
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
        """Leave what is large in the database until somebody opens one job."""
        return super().get_queryset(request).defer("stored")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the data, which may hold private things, to superusers only."""
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
        """Say whether this member of staff may run the job again."""
        context["may_rerun"] = request.user.has_perm(permission("rerun_job"))
        return super().render_change_form(request, context, *args, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes: the row is what keeps a hook from running twice while Redis still holds the job."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff with `jobs.view_job` look, as everywhere."""
        return super().has_view_permission(request, obj) or request.user.has_perm(
            permission("view_job")
        )

    @admin.display(description=_("handler"))
    def handler(self, row: JobRecord) -> str:
        """Name the handler without its package."""
        return short_handler(row.handler_class)

    @admin.display(description=_("owner"))
    def shown_owner(self, row: JobRecord) -> str:
        """Name the owner, without the token by which a visitor is known."""
        return shown_owner(row.owner)

    @admin.display(description=_("waited"))
    def waited(self, row: JobRecord) -> str | None:
        """How long it waited for a worker."""
        return _seconds(row.created_at, row.started_at) if row.started_at else None

    @admin.display(description=_("ran"))
    def ran(self, row: JobRecord) -> str | None:
        """How long its last attempt took."""
        return _seconds(row.started_at, row.ended_at) if row.started_at else None

    @admin.display(description=_("error"))
    def error(self, row: JobRecord) -> str:
        """What the owner was told."""
        return row.to_record().error

    @admin.display(description=_("progress"))
    def progress(self, row: JobRecord) -> str:
        """How far it came."""
        record = row.to_record()
        total = f" / {record.total:g}" if record.total else ""
        is_all = record.state is JobState.COMPLETE and not record.current
        return "" if is_all else f"{record.current:g}{total} {record.note}".strip()

    @admin.display(description=_("tags"))
    def tags(self, row: JobRecord) -> str:
        """What it was tagged with."""
        return ", ".join(row.to_record().tags)

    @admin.display(description=_("attempts"))
    def attempt(self, row: JobRecord) -> int:
        """How often a worker started it."""
        return row.to_record().attempt

    @admin.display(description=_("data"))
    def data(self, row: JobRecord) -> str:
        """The job's data, as JSON."""
        values = {key: json.loads(text) for key, text in row.to_record().data.items()}
        return format_html(
            "<pre>{}</pre>", json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True)
        )


def _seconds(start: datetime, end: datetime) -> str:
    return f"{seconds_between(start, end):.1f} s"
