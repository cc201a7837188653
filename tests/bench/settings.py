"""The project's settings, and the core channel layer beside its own."""

from project.settings import *  # noqa: F403
from project.settings import CHANNEL_LAYERS, REDIS_URL

CHANNEL_LAYERS["core"] = {
    "BACKEND": "channels_redis.core.RedisChannelLayer",
    # Above the layer's own 5 s of blocking: redis-py 8 would cut every idle socket (channels_redis issue 422).
    "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 15}]},
}
