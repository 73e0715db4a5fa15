"""The three databases of the tests: SQLite files, and a PostgreSQL and a MariaDB of our own.

The fixture `database_kind` (tests/conftest.py) says which one a test runs on.  A server is started
once per test process that asks, and its databases are used again.
"""

from __future__ import annotations

import importlib
import pkgutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import statera
from statera.store.database import Database
from statera.store.schema import metadata
from statera.store.upgrade import upgrade
from tests.servers import Server, mariadb, postgresql

ALL = ("sqlite", "postgresql", "mariadb")
_idle: dict[str, list[Database]] = {kind: [] for kind in ALL}

for _module in pkgutil.walk_packages(statera.__path__, "statera."):
    if "tables" in _module.name.split("."):
        importlib.import_module(_module.name)
_TABLES = [table.name for table in reversed(metadata.sorted_tables)]


@cache
def _server(kind: str) -> Server:
    return postgresql() if kind == "postgresql" else mariadb()


def fresh_url(kind: str, directory: Path) -> str:
    """Return the URL of a fresh, empty database of one kind; `directory` is for SQLite's file."""
    if kind == "sqlite":
        return f"sqlite:///{directory / 'statera.db'}"
    return _server(kind).create()


@contextmanager
def tables(kind: str, directory: Path) -> Iterator[Database]:
    """Yield a database with every table and no rows.

    Copying SQLite's file and emptying a server's tables is faster than making them.
    """
    database = _with_tables(kind, directory)
    yield database
    database.close()
    if kind != "sqlite":
        _empty(database)
        _idle[kind].append(database)


def _with_tables(kind: str, directory: Path) -> Database:
    if kind == "sqlite":
        (directory / "statera.db").write_bytes(_template())
    elif _idle[kind]:
        return _idle[kind].pop()
    url = fresh_url(kind, directory)
    if kind != "sqlite":
        upgrade(url)
    return Database(url, durable=False)


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        upgrade(fresh_url("sqlite", Path(directory)))
        return (Path(directory) / "statera.db").read_bytes()


def _empty(database: Database) -> None:
    deletions = [f'delete from "{name}"' for name in _TABLES]
    with database.engine.begin() as connection:
        if database.dialect == "postgresql":
            connection.exec_driver_sql("; ".join(deletions))
        else:
            for name in _TABLES:
                connection.exec_driver_sql(f"delete from `{name}`")
