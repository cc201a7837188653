"""The example with a channel layer over several Redis hosts: LAYER_HOSTS, separated by commas."""

import os

from tests.system.projects.countjobs.settings import *  # noqa: F403

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": os.environ["LAYER_HOSTS"].split(",")},
    },
}
