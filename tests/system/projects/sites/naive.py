"""A project whose database holds naive local times."""

from .settings import *  # noqa: F403

USE_TZ = False
TIME_ZONE = "Europe/Madrid"
