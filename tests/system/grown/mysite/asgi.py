"""The example's application."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

from project.asgi import application  # noqa: E402

__all__ = ["application"]
