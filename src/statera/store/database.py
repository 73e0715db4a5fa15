"""The one place that opens transactions.

SQLAlchemy Core on our own engine: oslo.db's engine closes SQLite files after each transaction and
begins deferred, which costs 16 ms a write and ends in busy errors; its exception filters and its
retry are kept.  Every transaction is a function, because a deadlock or a lost connection means that
it runs again from the start: it must have no effect outside the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from oslo_db import api as oslo_db_api
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

T = TypeVar("T")

_retry = oslo_db_api.wrap_db_retry(
    max_retries=20,
    retry_interval=0.1,
    inc_retry_interval=True,
    max_retry_interval=2,
    retry_on_deadlock=True,
    retry_on_disconnect=True,
    jitter=True,
)


class Database:
    """Engine and transactions of one database.

    `durable` (SQLite only): a committed transaction survives a power cut (`synchronous=FULL`), as a
    process needs that accepts wishes; others may lose their last moments and find the work again.
    """

    def __init__(self, url: str, *, durable: bool = True, pool_size: int = 10) -> None:
        self.engine = _sqlite(url, durable) if url.startswith("sqlite") else _server(url, pool_size)
        exc_filters.register_engine(self.engine)
        self._reader = self.engine.execution_options(statera_reader=True)
        self.dialect = self.engine.dialect.name
        """`sqlite`, `postgresql` or `mysql` (MariaDB)."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-write transaction and return its result; repeat it on a deadlock."""

        def attempt() -> T:
            with self.engine.begin() as connection:
                return work(connection)

        result: T = _retry(attempt)()
        return result

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that cannot write and return its result."""

        def attempt() -> T:
            with self._reader.begin() as connection:
                return work(connection)

        result: T = _retry(attempt)()
        return result

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _server(url: str, pool_size: int) -> Engine:
    engine = sa.create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        json_serializer=_json,
        json_deserializer=msgspec.json.decode,
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("statera_reader"):
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    return engine


def _sqlite(url: str, durable: bool) -> Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        pool_size=10,
        max_overflow=30,
        json_serializer=_json,
        json_deserializer=msgspec.json.decode,
        connect_args={"timeout": 30, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # we begin transactions ourselves
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'NORMAL'}",
            "foreign_keys=ON",
            "busy_timeout=30000",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reader = bool(connection.get_execution_options().get("statera_reader"))
        if connection.info.get("statera_reader") is not reader:
            # Only on a change: this pragma makes SQLite prepare every cached statement anew.
            connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reader else 'OFF'}")
            connection.info["statera_reader"] = reader
        connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")

    return engine
