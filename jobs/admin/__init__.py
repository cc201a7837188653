"""The admin's pages."""

from .archive import JobRecordAdmin

__all__ = ["JobRecordAdmin"]
