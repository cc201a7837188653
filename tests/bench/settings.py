"""The project's settings, and what the peers need: a core channel layer, results, an address."""

from project.settings import *  # noqa: F403
from project.settings import CELERY_BROKER_URL, CHANNEL_LAYERS, INSTALLED_APPS, REDIS_URL

CHANNEL_LAYERS["core"] = {
    "BACKEND": "channels_redis.core.RedisChannelLayer",
    # Above the layer's 5 s of blocking: redis-py 8 would cut idle sockets (channels_redis #422).
    "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 15}]},
}
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_IMPORTS = ["tests.bench.tasks"]
INSTALLED_APPS = [*INSTALLED_APPS, "celery_progress"]
ROOT_URLCONF = "tests.bench.urls"
SECURE_SSL_REDIRECT = False  # DEBUG is off, as in production, but nothing encrypts here
