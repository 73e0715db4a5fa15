"""Brings a database to the newest schema, one process at a time.

Alembic without an environment script: the chain is `store.migrations`, and the transaction is ours.
Finding that there is nothing to do takes one query and no import of Alembic.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.errors import StateraError
from statera.store.database import Database

LOG = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "migrations"
HEAD = max(path.stem[1:] for path in FOLDER.glob("r[0-9]*.py"))
"""The newest revision: a migration's module is named `r<revision>`."""
LOCK_NUMBER = 0x57A7E4A
LOCK_NAME = "statera-upgrade"
LOCK_SECONDS = 600


class UnknownSchemaError(StateraError):
    """The database is at a revision that this release does not know."""


def upgrade(url: str) -> bool:
    """Bring the database to the newest schema; False when it was there already.

    Processes that start together wait for each other.  Raise `UnknownSchemaError`.
    """
    database = Database(url)
    try:
        if database.read(current) == HEAD:
            return False
        with _alone(database):
            return _run(database)
    finally:
        database.close()


def current(connection: Connection) -> str | None:
    """Return the revision of a database; None when it is empty."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(sa.text("select version_num from alembic_version"))
    return revision


def _run(database: Database) -> bool:
    from alembic.config import Config  # noqa: PLC0415 (slow to import, seldom needed)
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    folder = str(FOLDER)
    script = ScriptDirectory(folder, version_locations=[folder])
    with database.engine.begin() as connection:
        before = current(connection)
        if before == HEAD:
            return False
        if before is not None and before not in {each.revision for each in script.walk_revisions()}:
            raise UnknownSchemaError(
                f"the database is at schema {before}, which this release does not know: "
                "install the release that wrote it, or upgrade through the one before"
            )

        def steps(revision: Any, _context: Any) -> Any:
            return script._upgrade_revs("head", revision)

        with EnvironmentContext(Config(), script, fn=steps) as environment:
            environment.configure(connection=connection, transaction_per_migration=False)
            environment.run_migrations()
        if database.dialect == "postgresql":
            _compare_bytes(connection)
    LOG.info("schema.upgraded from=%s to=%s", before, HEAD)
    return True


def _compare_bytes(connection: Connection) -> None:
    """Let PostgreSQL sort texts byte by byte, as the others do, whatever the database's locale."""
    quote = connection.dialect.identifier_preparer.quote
    for table, column, length in connection.exec_driver_sql(_BY_LOCALE).all():
        kind = f"varchar({length})" if length else "text"
        connection.exec_driver_sql(
            f'alter table {quote(table)} alter {quote(column)} type {kind} collate "C"'
        )


_BY_LOCALE = """
    select c.table_name, c.column_name, c.character_maximum_length
    from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = current_schema() and t.table_type = 'BASE TABLE'
    and c.data_type in ('character varying', 'text') and c.collation_name is distinct from 'C'
"""


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Let nobody else upgrade this database meanwhile."""
    if database.dialect == "sqlite":
        path = database.engine.url.database or ""
        with Path(f"{path}.upgrade").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        return
    postgresql = database.dialect == "postgresql"
    if postgresql:
        take = f"select pg_advisory_lock({LOCK_NUMBER})"
        give = f"select pg_advisory_unlock({LOCK_NUMBER})"
    else:
        take = f"select get_lock('{LOCK_NAME}', {LOCK_SECONDS})"
        give = f"select release_lock('{LOCK_NAME}')"
    with database.engine.connect() as connection:
        taken = connection.exec_driver_sql(take).scalar()
        try:
            if not postgresql and taken != 1:
                raise StateraError("another process has been upgrading the database for too long")
            yield
        finally:
            connection.exec_driver_sql(give)
