"""The same tags under a second name, for a project that has a tag library `jobs` of its own."""

from .jobs import register

__all__ = ["register"]
