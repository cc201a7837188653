"""The teachers' pages. A classroom and its contents exist only for its own teacher."""

from celery import group
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.access import viewer_of
from jobs.canvas import start_canvas
from jobs.exceptions import JobNotFound

from .forms import RosterForm, TransferForm
from .handlers import DrillHandler
from .models import Classroom, RosterUpload, Student
from .samples import new_students, roster_csv, with_mistakes
from .tasks import be_slow, fail, import_roster, stumble, transfer_students, try_again, walk_down

STUDENTS_PER_PAGE = 50
DRILLS = {
    "slow": _("A slow job without a total; cancel it, or leave it"),
    "fail": _("A job that fails with a reason"),
    "stumble": _("A job that fails as nobody has foreseen"),
    "retry": _("A job that is tried again, twice"),
    "group": _("One job for a group of five tasks"),
}


def my_classroom(request, pk):
    """Return the classroom if the user teaches it, or answer 404."""
    return get_object_or_404(
        Classroom.objects.select_related("school"), pk=pk, teacher=request.user
    )


@require_safe
@login_required
def classroom_list(request):
    """List the classrooms that the user teaches, and those of colleagues to watch."""
    classrooms = request.user.classrooms.select_related("school").annotate(
        student_count=Count("students")
    )
    others = (
        classrooms_at_my_schools(request).exclude(teacher=request.user).select_related("teacher")
    )
    return render(request, "classrooms/list.html", {"classrooms": classrooms, "others": others})


@require_safe
@login_required
def detail(request, pk):
    """Show a classroom's students and what can be done with them."""
    classroom = my_classroom(request, pk)
    return classroom_page(request, classroom, TransferForm(classroom))


@require_POST
@login_required
def transfer(request, pk):
    """Start the job that moves all students to another classroom, and show its waiting page."""
    classroom = my_classroom(request, pk)
    form = TransferForm(classroom, request.POST)
    if not form.is_valid():
        return classroom_page(request, classroom, form)
    target = form.cleaned_data["target"]
    arguments = {"classroom_id": classroom.pk, "target_id": target.pk}
    tags = [classroom.tag, target.tag]
    return redirect(
        transfer_students.submit_job(request, kwargs=arguments, data=arguments, tags=tags)
    )


@require_safe
@login_required
def watch(request, pk):
    """Show a colleague of the same school a classroom's jobs live, by a ticket for its tag."""
    classroom = get_object_or_404(classrooms_at_my_schools(request), pk=pk)
    return render(request, "classrooms/watch.html", {"classroom": classroom})


def classrooms_at_my_schools(request):
    """Return all classrooms of the schools at which the user teaches."""
    return (
        Classroom.objects.filter(school__classrooms__teacher=request.user)
        .select_related("school")
        .distinct()
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def drills(request):
    """Offer a job for each situation, and start one. The group waits on a page of our own."""
    if request.method == "POST" and (kind := request.POST.get("kind")) in DRILLS:
        job = start_drill(request, kind)
        return redirect("classrooms:drill", job.id) if kind == "group" else redirect(job)
    return render(request, "classrooms/drills.html", {"drills": DRILLS})


@require_safe
@login_required
def drill(request, job_id):
    """Wait for a drill on a page of our own, where `job_waiting` renders the waiting page."""
    try:
        job = viewer_of(request).find(job_id)
    except JobNotFound:
        raise Http404 from None
    return render(request, "classrooms/drill.html", {"job": job})


def start_drill(request, kind):
    """Start a job of this kind. The evacuation is one job for a whole group of tasks."""
    if kind == "group":
        floors = group(walk_down.s(floor=floor) for floor in range(5))
        return start_canvas(request, floors, handler_class=DrillHandler)
    tasks = {"fail": fail, "stumble": stumble, "slow": be_slow, "retry": try_again}
    return tasks[kind].start_job(request)


def classroom_page(request, classroom, form):
    """Render a classroom with the transfer's form."""
    students = Paginator(classroom.students.all(), STUDENTS_PER_PAGE).get_page(
        request.GET.get("page")
    )
    return render(
        request,
        "classrooms/detail.html",
        {"classroom": classroom, "students": students, "form": form},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def import_students(request, pk):
    """Take a roster, start the job that imports it, and show its waiting page."""
    classroom = my_classroom(request, pk)
    form = RosterForm(request.POST, request.FILES) if request.method == "POST" else RosterForm()
    if form.is_valid():
        return redirect(keep_and_import(request, classroom, form.cleaned_data["roster"]))
    return render(request, "classrooms/import.html", {"classroom": classroom, "form": form})


@transaction.atomic
def keep_and_import(request, classroom, file):
    """Store the file and start its job, both or neither."""
    upload = RosterUpload.objects.create(classroom=classroom, name=file.name, content=file.read())
    return import_roster.submit_job(
        request,
        kwargs={"upload_id": upload.pk},
        data={"upload_id": upload.pk, "file": upload.name},
        tags=[classroom.tag],
    )


@require_safe
@login_required
def report(request, pk):
    """Show what became of an uploaded roster."""
    uploads = RosterUpload.objects.select_related("classroom__school").defer("content")
    upload = get_object_or_404(uploads, pk=pk, classroom__teacher=request.user)
    return render(
        request, "classrooms/report.html", {"upload": upload, "classroom": upload.classroom}
    )


@require_safe
@login_required
def dashboard(request):
    """Show the user's jobs live. The page subscribes to them, so this view reads nothing."""
    return render(request, "classrooms/dashboard.html")


@require_safe
@login_required
def sample(request, pk):
    """Offer a roster of 3,000 students who are not enrolled yet."""
    my_classroom(request, pk)
    return csv_file("roster.csv", roster_csv(new_students(3000, after=last_student_pk())))


@require_safe
@login_required
def sample_with_mistakes(request, pk):
    """Offer a roster in which every kind of mistake occurs."""
    my_classroom(request, pk)
    return csv_file(
        "roster-with-mistakes.csv",
        roster_csv(with_mistakes(new_students(400, after=last_student_pk()))),
    )


def last_student_pk():
    """Return the number after which no sample address is taken."""
    return Student.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def csv_file(name, text):
    """Answer with a file to save."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)
