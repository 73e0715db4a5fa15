"""Column types and the clock, the same on SQLite, PostgreSQL and MariaDB.

Times inside the system are seconds since 1970 as a double, taken from the database's clock, so that
they can be compared and added in SQL on all three; times shown to users are `DATETIME(6)` in UTC.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

Seconds = sa.Double
Id = sa.String(36)
Moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Document = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
Text = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
}
"""Table options: names compare byte by byte on MariaDB too."""


SQLITE_CLOCK = "statera_now"
"""A function that our connections bring along: SQLite's own clock counts milliseconds."""


class now(FunctionElement[float]):  # noqa: N801 (a SQL function)
    """The database's clock: seconds since 1970 at this statement."""

    type = sa.Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite(_element: now, _compiler: Any, **_kw: Any) -> str:
    return f"{SQLITE_CLOCK}()"


@compiles(now, "postgresql")
def _postgresql(_element: now, _compiler: Any, **_kw: Any) -> str:
    return "extract(epoch from statement_timestamp())::double precision"


@compiles(now, "mysql")
@compiles(now, "mariadb")
def _mysql(_element: now, _compiler: Any, **_kw: Any) -> str:
    return "(unix_timestamp(now(6)) + 0e0)"
