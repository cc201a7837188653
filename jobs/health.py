"""A health check of this server process, for a load balancer or a monitor.

Add it to the project's URLs: `path("health/", jobs.health.health)`. Its answer holds only words
such as `ok` and `down`, so anybody may read it. Errors go to the log.
"""

from collections.abc import Awaitable

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .archive import server as archive_server
from .conf import jobs_settings
from .exceptions import StoreUnavailable
from .logs import get_logger
from .push.hub import hub
from .runtime.threads import in_thread
from .store.reader import async_reader

logger = get_logger(__name__)

OK, DOWN, OFF = "ok", "down", "off"
# By whether the hub is deaf. None: no page is open here. A deaf hub hears no pushes, so its pages
# read their jobs from the store instead.
HUB_STATES = {None: "idle", False: OK, True: "deaf"}


@require_safe
@login_not_required
@never_cache
async def health(request: HttpRequest) -> JsonResponse:
    """Answer 200, or 503 if the store or the archive does not answer.

    A deaf hub is reported, but it is no reason for 503: its pages are still served, and it
    recovers by itself.
    """
    parts = {
        "store": await _state_of("store", async_reader().read_all([])),
        "archive": await _archive_state(),
        "hub": HUB_STATES[hub().is_deaf],
    }
    if DOWN in parts.values():
        return JsonResponse({"status": DOWN, **parts}, status=503)
    return JsonResponse({"status": OK, **parts})


async def _archive_state() -> str:
    if not jobs_settings().ARCHIVE:
        return OFF
    return await _state_of("archive", in_thread(archive_server.ping))


async def _state_of(part: str, answer: Awaitable[object]) -> str:
    try:
        await answer
    except (StoreUnavailable, DatabaseError) as error:
        logger.error("the %s does not answer: %s", part, error)
        return DOWN
    return OK
