"""The example in the admin."""

from django.contrib import admin

from .models import Classroom, RosterUpload, School, Student


class ClassroomInline(admin.TabularInline):
    """The classrooms on their school's page."""

    model = Classroom
    extra = 0


@admin.register(School)
class SchoolAdmin(admin.ModelAdmin):
    """Schools with their classrooms."""

    list_display = ["name", "town"]
    search_fields = ["name", "town"]
    inlines = [ClassroomInline]


@admin.register(Classroom)
class ClassroomAdmin(admin.ModelAdmin):
    """Classrooms and who teaches them."""

    list_display = ["name", "school", "teacher"]
    list_filter = ["school", "teacher"]
    list_select_related = ["school", "teacher"]
    search_fields = ["name", "school__name"]


@admin.register(Student)
class StudentAdmin(admin.ModelAdmin):
    """Students and where they sit."""

    list_display = ["name", "born", "email", "classroom"]
    list_filter = ["classroom"]
    list_select_related = ["classroom"]
    search_fields = ["first_name", "last_name", "email"]
    autocomplete_fields = ["classroom"]


@admin.register(RosterUpload)
class RosterUploadAdmin(admin.ModelAdmin):
    """What became of uploaded rosters: to be read, not written."""

    list_display = ["name", "classroom", "imported", "problem_count", "created_at"]
    list_select_related = ["classroom"]
    fields = readonly_fields = [*list_display, "problems"]

    def has_add_permission(self, request):
        """Refuse: rosters are uploaded by teachers."""
        return False

    def has_change_permission(self, request, obj=None):
        """Refuse: a report is not edited."""
        return False

    def get_queryset(self, request):
        """Leave the files in the database."""
        return super().get_queryset(request).defer("content")
