"""A project below a prefix of its host."""

from .settings import *  # noqa: F403

FORCE_SCRIPT_NAME = "/intern"
