"""The project's addresses, and pages for the recipes."""

from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_POST

from project.urls import urlpatterns as of_the_project
from tests.docs.recipes import export_status

from .tasks import be_deaf

CONFIG = """<meta name="htmx-config" content='{"includeIndicatorStyles": false}'>"""


def htmx_page(request, job_id):
    """Show the fragment inside a page that has HTMX."""
    fragment = export_status(request, job_id).content.decode()
    return HttpResponse(
        f"<!doctype html>{CONFIG}<script src='/htmx.js'></script><main>{fragment}</main>"
    )


def plain_form(request):
    """Offer a form and nothing else."""
    token = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    return HttpResponse(
        f'<!doctype html><form method="post" action="start/">{token}<button>Start</button></form>'
    )


@require_POST
def start(request):
    """Start the deaf task."""
    return redirect(be_deaf.start_job(request))


urlpatterns = [
    path("exports/<str:job_id>/", export_status, name="export_status"),
    path("htmx/<str:job_id>/", htmx_page),
    path("form/", plain_form),
    path("form/start/", start),
    *of_the_project,
]
