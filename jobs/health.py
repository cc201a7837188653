"""Whether this server process does its work, for a load balancer or a monitor.

To be put into the host project's URLs: `path("health/", jobs.health.health)`. It tells no secrets: words, no errors.
"""

from collections.abc import Awaitable

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .conf import jobs_settings
from .exceptions import StoreUnavailable
from .logs import get_logger
from .models import JobRecord
from .push.hub import hub
from .runtime.threads import in_thread
from .store.reader import async_reader

logger = get_logger(__name__)

OK, DOWN, OFF = "ok", "down", "off"
HUB = {
    None: "idle",
    False: OK,
    True: "deaf",
}  # idle: no page is open here; deaf: pages read their jobs instead


@require_safe
@login_not_required
@never_cache
async def health(request: HttpRequest) -> JsonResponse:
    """Answer 200, or 503 when the store or the archive does not answer.

    A deaf hub is told but is no reason for 503: its pages are served all the same, and it heals itself.
    """
    parts = {
        "store": await _tried("store", async_reader().read_all([])),
        "archive": await _tried("archive", in_thread(_ask_archive))
        if jobs_settings().ARCHIVE
        else OFF,
        "hub": HUB[hub().is_deaf],
    }
    is_down = DOWN in parts.values()
    return JsonResponse(
        {"status": DOWN if is_down else OK, **parts}, status=503 if is_down else 200
    )


def _ask_archive() -> None:
    JobRecord.objects.exists()


async def _tried(name: str, question: Awaitable[object]) -> str:
    try:
        await question
    except (StoreUnavailable, DatabaseError) as error:
        logger.error("the %s does not answer: %s", name, error)
        return DOWN
    return OK
