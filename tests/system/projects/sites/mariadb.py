"""A project on MariaDB, by way of PyMySQL, which needs no compiler."""

import pymysql

pymysql.version_info = (2, 2, 7, "final", 0)  # the mysqlclient that Django asks for
pymysql.install_as_MySQLdb()

from .settings import *  # noqa: E402, F403
