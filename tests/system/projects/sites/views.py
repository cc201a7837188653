"""One view that starts a job."""

from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .tasks import work


@csrf_exempt
@require_POST
def start(request):
    """Start a job as the form says, and go to its waiting page."""
    return redirect(work.start_job(request, **request.POST.dict()))
