"""A project on MariaDB, by way of PyMySQL, which needs no compiler."""

import pymysql

pymysql.version_info = (2, 2, 7, "final", 0)  # Django asks for this mysqlclient; PyMySQL offers what Django uses of it
pymysql.install_as_MySQLdb()

from .settings import *  # noqa: E402, F403
