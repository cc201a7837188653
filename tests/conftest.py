"""Fixtures of all tests. The Redis is the plugin's (tests/embedded.py); real processes and a browser are in system/."""

from .wheels import installed_python, wheel  # noqa: F401 - fixtures
