"""Columns that mean the same on every database."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

EXACT = "utf8mb4_bin"  # of MariaDB and MySQL; it still ignores blanks at the end


class ExactCharField(models.CharField):  # type: ignore[type-arg]
    """A text in which upper and lower case differ on every database.

    MariaDB and MySQL take them for equal by default. But the jobs `abc` and `ABC` are two jobs, and so are the
    owners of that name.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return the column's type, with the collation where the default one ignores case."""
        parameters: dict[str, Any] = {**super().db_parameters(connection)}
        if connection.vendor == "mysql":
            parameters["collation"] = EXACT
        return parameters
