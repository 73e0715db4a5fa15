"""Transactions on each kind of database: who may write, what dies, what is said about it."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_errors

from statera.cloud.identity.tables import role, signing_key
from statera.store.database import Database, InDoubt
from statera.store.types import now

TWO_O_CLOCK = 1761436800.5
"""Begin of the hour that Central European clocks showed twice in 2025, the first time."""


def _names(database: Database) -> list[str]:
    return database.read(lambda c: list(c.scalars(sa.select(role.c.name).order_by(role.c.name))))


def test_readers_cannot_write(database: Database) -> None:
    """A write among reads is refused and leaves nothing; writers are not infected by it."""
    insert = role.insert().values(id="1", name="r")
    for _ in range(3):
        with pytest.raises((db_errors.DBError, sa.exc.DBAPIError)):
            database.read(lambda c: c.execute(insert))
    assert _names(database) == []
    database.write(lambda c: c.execute(insert))
    assert _names(database) == ["r"]


def test_connections_that_died_are_replaced(database: Database) -> None:
    """After a restart of the server, the first read and the first write succeed."""
    if database.dialect == "sqlite":
        pytest.skip("no connections that could die")
    _names(database)
    database.write(lambda c: c.execute(role.insert().values(id="1", name="r")))
    other = sa.create_engine(database.engine.url, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        for (number,) in connection.exec_driver_sql(_OTHERS[database.dialect]).all():
            connection.exec_driver_sql(_KILL[database.dialect].format(number))
    other.dispose()
    assert _names(database) == ["r"]
    database.write(lambda c: c.execute(role.insert().values(id="2", name="s")))
    assert _names(database) == ["r", "s"]


def test_a_commit_that_broke_is_not_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have happened: doing it again would do twice what was asked for once."""
    commit = database.engine.dialect.do_commit

    def breaks(connection: Any) -> None:
        commit(connection)
        raise db_errors.DBConnectionError

    numbers = itertools.count()

    def create(connection: sa.Connection) -> None:
        number = str(next(numbers))
        connection.execute(role.insert().values(id=number, name=f"r{number}"))

    with monkeypatch.context() as patched:
        patched.setattr(database.engine.dialect, "do_commit", breaks)
        with pytest.raises(InDoubt):
            database.write(create)
    assert _names(database) == ["r0"]
    database.write(create)
    assert _names(database) == ["r0", "r1"]


def test_a_deadlock_in_a_commit_is_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database itself says that nothing happened."""
    commit, failures = database.engine.dialect.do_commit, iter([True, True])

    def loses(connection: Any) -> None:
        if next(failures, False):
            connection.rollback()
            raise db_errors.DBDeadlock
        commit(connection)

    monkeypatch.setattr(database.engine.dialect, "do_commit", loses)
    database.write(lambda c: c.execute(role.insert().values(id="1", name="r")))
    assert _names(database) == ["r"]


_OTHERS = {
    "postgresql": "select pid from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()",
    "mysql": "select id from information_schema.processlist"
    " where db = database() and id <> connection_id()",
}
_KILL = {"postgresql": "select pg_terminate_backend({})", "mysql": "kill {}"}


def test_the_clock_has_no_summer_time(database: Database) -> None:
    """Seconds since 1970 do not jump when the server's own zone changes to winter time."""
    if database.dialect != "mysql":
        pytest.skip("only MariaDB makes the seconds from a local time")

    def work(connection: sa.Connection) -> float | None:
        connection.exec_driver_sql(f"set timestamp = {TWO_O_CLOCK}")
        found: float | None = connection.scalar(sa.select(now()))
        connection.exec_driver_sql("set timestamp = default")
        return found

    assert database.read(work) == TWO_O_CLOCK
    assert database.write(work) == TWO_O_CLOCK


def test_too_long_a_value_is_refused(database: Database) -> None:
    """No server shortens in silence, whatever its default mode."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite stores any length")
    with pytest.raises((db_errors.DBError, sa.exc.DBAPIError)):
        database.write(lambda c: c.execute(role.insert().values(id="x" * 99, name="r")))


def test_errors_hold_no_secrets(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """What the database refuses is told and logged without the values that were sent."""
    caplog.set_level(logging.DEBUG)
    values: dict[str, Any] = {"id": "1", "secret": "the signing key", "created_at": 1.0}
    database.write(lambda c: c.execute(signing_key.insert().values(values)))
    with pytest.raises(db_errors.DBDuplicateEntry) as caught:
        database.write(lambda c: c.execute(signing_key.insert().values(values)))
    with pytest.raises((db_errors.DBError, sa.exc.DBAPIError)) as other:
        database.write(lambda c: c.execute(sa.text("insert into nowhere values (:secret)"), values))
    for text in (str(caught.value), str(other.value), caplog.text):
        assert "the signing key" not in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://postgres@/x?host={}",
        "postgresql+psycopg://postgres@127.0.0.1:1/x",
        "mysql+mysqldb://root@/x?unix_socket={}/socket",
        "mysql+mysqldb://root@127.0.0.1:1/x",
    ],
)
def test_unreachable_server(url: str, tmp_path: Path) -> None:
    """A server that is away is told apart from what no waiting mends."""
    pytest.importorskip(sa.make_url(url).get_dialect().driver.replace("mysqldb", "MySQLdb"))
    database = Database(url.format(tmp_path))
    with pytest.raises(db_errors.DBConnectionError):
        database.engine.connect()
    database.close()
