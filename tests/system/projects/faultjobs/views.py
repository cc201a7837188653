"""Views that start a task as a project's own view would, then redirect to its waiting page."""

import json

from celery import chain, chord, group, signature
from django.contrib.auth import get_user_model, login
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from jobs.canvas import start_canvas
from jobs.exceptions import StoreUnavailable

from . import tasks
from .notes import note


@csrf_exempt
@require_POST
def start(request, task):
    """Start a task with the arguments and Celery's options in the request's JSON body."""
    return redirect(submit(request, task))


@csrf_exempt
@require_POST
def roll_back(request, task):
    """Start a task in a transaction that fails afterwards."""
    with transaction.atomic():
        job = submit(request, task)
        note(f"drafted:{job.id}")
        raise RuntimeError("the view fails after it has started the job")


@csrf_exempt
@require_POST
def catch(request, task):
    """Start a task, and say something better than the plain page if the store is away."""
    try:
        return redirect(submit(request, task))
    except StoreUnavailable:
        return HttpResponse("Please come back later.")


@csrf_exempt
@require_POST
def start_a_canvas(request, kind):
    """Start the parts in the JSON body as one job; `null` is a task that no worker knows."""
    given = json.loads(request.body)
    parts = [
        signature("nobody.knows.it", immutable=True) if part is None else tasks.part.si(**part)
        for part in given
    ]
    return redirect(start_canvas(request, CANVASES[kind](parts), handler_class=tasks.HANDLER))


CANVASES = {
    "group": group,
    "chain": lambda parts: chain(*parts),
    "chord": lambda parts: chord(parts[:-1], parts[-1]),
}


@csrf_exempt
@require_POST
def become_staff(request):
    """Log the visitor in as somebody who may see every job."""
    login(
        request,
        get_user_model().objects.get_or_create(username="boss", is_staff=True, is_superuser=True)[
            0
        ],
    )
    return HttpResponse()


def submit(request, task):
    """Submit the job with its arguments as data, like `start_job`."""
    wanted = json.loads(request.body)
    kwargs = wanted["kwargs"]
    return getattr(tasks, task).submit_job(
        request, kwargs=kwargs, data=kwargs, **wanted["options"]
    )
