"""The tags of `jobs` under a second name, for a project whose own library of tags is called `jobs`."""

from .jobs import register

__all__ = ["register"]
