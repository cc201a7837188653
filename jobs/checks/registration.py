"""All system checks of the app, and Django's tag for each."""

from django.core.checks import Tags, register

from .broker import check_broker, check_redelivery
from .celery_app import check_celery, check_eager
from .deployment import check_cookies, check_redis
from .handlers import check_handlers
from .pages import check_middleware, check_routes, check_sessions, check_templates
from .settings import check_archive, check_settings
from .sockets import check_asgi, check_channel_layer

CHECKS = (
    check_settings,
    check_archive,
    check_asgi,
    check_channel_layer,
    check_celery,
    check_eager,
    check_broker,
    check_redelivery,
    check_handlers,
    check_middleware,
    check_sessions,
)
DEPLOYMENT_CHECKS = (check_cookies, check_redis)  # run by `manage.py check --deploy` only


def register_all() -> None:
    """Register each check with Django, which may be done twice."""
    for check in CHECKS:
        register(check, Tags.compatibility)
    register(check_routes, Tags.urls)
    register(check_templates, Tags.templates)
    for check in DEPLOYMENT_CHECKS:
        register(check, Tags.security, deploy=True)
