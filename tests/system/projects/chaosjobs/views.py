"""The view that starts a task, as a project's own would."""

import json

from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from . import tasks


@csrf_exempt
@require_POST
def start(request, task):
    """Start a task with the arguments in the request's JSON body."""
    return redirect(getattr(tasks, task).start_job(request, **json.loads(request.body)))
