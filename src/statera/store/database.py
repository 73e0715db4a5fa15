"""The one place that opens transactions.

SQLAlchemy Core on our own engine: oslo.db's engine closes SQLite files after each transaction and
begins deferred, which costs 16 ms a write and ends in busy errors; its exception filters and its
retry are kept.  Every transaction is a function, because a deadlock or a lost connection means that
it runs again from the start: it must have no effect outside the database.  A connection that is
lost in the commit itself is the exception: it may have happened.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_errors
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from statera.lb.errors import Retryable
from statera.store.types import SQLITE_CLOCK

T = TypeVar("T")

_BUSY_SECONDS = 30
"""Longest wait for another writer of an SQLite file."""
_UNREACHABLE = (
    r"(?s)(?!.*(?:authentication failed|does not exist|pg_hba))"
    r".*connection (?:failed|is bad|timeout expired)"
)

_retry = oslo_db_api.wrap_db_retry(
    max_retries=20,
    retry_interval=0.1,
    inc_retry_interval=True,
    max_retry_interval=2,
    retry_on_deadlock=True,
    retry_on_disconnect=True,
    jitter=True,
)


def _unreachable(error: Exception, *_context: object) -> None:
    """Let the retry see that PostgreSQL cannot be reached: oslo.db knows older texts only."""
    raise db_errors.DBConnectionError(error)


exc_filters.filters("postgresql", sa.exc.OperationalError, _UNREACHABLE)(_unreachable)


class InDoubt(Retryable):
    """Nobody knows whether a transaction happened: look, and only then ask for it again."""


class Database:
    """Engine and transactions of one database.

    `durable` (SQLite only): a committed transaction survives a power cut (`synchronous=FULL`), as a
    process needs that accepts wishes; others may lose their last moments and find the work again.
    """

    def __init__(self, url: str, *, durable: bool = True, pool_size: int = 10) -> None:
        if url.startswith("sqlite"):
            self.engine = _sqlite(url, durable)
            writers = threading.Lock()
            self._turn: Callable[[], AbstractContextManager[None]] = lambda: _turn(writers)
            self._reader: Engine = self.engine.execution_options(statera_reader=True)
        else:
            self.engine = _server(url, pool_size, reader=False)
            self._turn = contextlib.nullcontext
            self._reader = _server(url, pool_size, reader=True)
        self.dialect = self.engine.dialect.name
        """`sqlite`, `postgresql` or `mysql` (MariaDB)."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-write transaction and return its result; repeat it on a deadlock.

        Raise `InDoubt` when the connection broke in the commit: a repetition could do twice what
        was asked for once.
        """

        def attempt() -> T:
            committing = False
            try:
                with self._turn(), self.engine.begin() as connection:
                    result = work(connection)
                    committing = True
            except db_errors.DBConnectionError as error:
                if committing:
                    raise InDoubt("the database connection broke in a commit") from error
                raise
            return result

        result: T = _retry(attempt)()
        return result

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection that cannot write and return its result.

        Statements see one moment on SQLite, each its own on a server (READ COMMITTED).
        """

        def attempt() -> T:
            with self._reader.connect() as connection:
                return work(connection)

        result: T = _retry(attempt)()
        return result

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        self._reader.dispose()


@contextlib.contextmanager
def _turn(writers: threading.Lock) -> Iterator[None]:
    """Wait until no other thread of this process writes, as long as SQLite would.

    SQLite lets writers sleep and try again, up to 100 ms at a time, and whoever happens to be awake
    is next; a lock wakes the next one at once.  Only the processes are left to SQLite.
    """
    taken = writers.acquire(timeout=_BUSY_SECONDS)
    try:
        yield
    finally:
        if taken:
            writers.release()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_EVERYWHERE: dict[str, Any] = {
    "json_serializer": _json,
    "json_deserializer": msgspec.json.decode,
    "hide_parameters": True,  # errors are logged, and parameters may be keys or hashes
}


def _server(url: str, pool_size: int, *, reader: bool) -> Engine:
    """Return an engine on PostgreSQL or MariaDB.

    Readers have connections of their own, read-only from the start and in autocommit: at READ
    COMMITTED a transaction around reads gives nothing, and costs a round trip at either end.  No
    connection is tried out before its use: the retry meets one that has died.
    """
    connect_args = {}
    if reader and url.startswith("postgresql"):
        own = sa.make_url(url).query.get("options", "")
        connect_args["options"] = f"{own} -c default_transaction_read_only=on"
    engine = sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT" if reader else "READ COMMITTED",
        skip_autocommit_rollback=reader,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args=connect_args,
        **_EVERYWHERE,
    )
    exc_filters.register_engine(engine)
    if engine.dialect.name == "mysql":
        event.listen(engine, "connect", lambda dbapi, _record: _mariadb(dbapi, reader))
    return engine


def _mariadb(dbapi: Any, reader: bool) -> None:
    cursor = dbapi.cursor()
    # `unix_timestamp(now(6))` jumps by an hour where the server's own zone changes to winter time.
    # Texts that are no column's, as a status that a query computes, are compared like columns.
    cursor.execute(
        "SET time_zone = '+00:00', sql_mode = 'TRADITIONAL',"
        " collation_connection = 'utf8mb4_nopad_bin'"
    )
    if reader:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
    cursor.close()


def _sqlite(url: str, durable: bool) -> Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        pool_size=10,
        max_overflow=30,
        connect_args={"timeout": 30, "check_same_thread": False},
        **_EVERYWHERE,
    )
    exc_filters.register_engine(engine)

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # we begin transactions ourselves
        # deterministic: one reading a statement, so that an index can find what is due
        dbapi.create_function(SQLITE_CLOCK, 0, time.time, deterministic=True)
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'NORMAL'}",
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_SECONDS * 1000}",
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
