"""Columns that mean the same on every database."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

MYSQL_COLLATION = "utf8mb4_bin"  # still ignores blanks at the end of a text


class ExactCharField(models.CharField):  # type: ignore[type-arg]
    """A text in which upper and lower case differ on every database.

    By default MariaDB and MySQL treat them as equal. But `abc` and `ABC` are two jobs, and so are
    two owners with such names.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return the column's type, with a collation if the default one ignores case."""
        parameters: dict[str, Any] = {**super().db_parameters(connection)}
        if connection.vendor == "mysql":
            parameters["collation"] = MYSQL_COLLATION
        return parameters
