"""What a database itself records of the work queue: who was given which lease, and when."""

from __future__ import annotations

import sqlalchemy as sa

from statera.store.database import Database
from statera.store.types import Id, Seconds, now

_journal = sa.Table(
    "journal",
    sa.MetaData(),
    sa.Column("load_balancer_id", Id),
    sa.Column("old_owner", sa.String(255)),
    sa.Column("old_until", Seconds),
    sa.Column("old_fence", sa.BigInteger),
    sa.Column("new_owner", sa.String(255)),
    sa.Column("new_fence", sa.BigInteger),
    sa.Column("made_at", Seconds),
)
_INSERT = """insert into journal values (new.load_balancer_id, old.leased_by, old.leased_until,
 old.fence, new.leased_by, new.fence, {clock})"""
_TRIGGER = "create trigger journal_of_work after update on work for each row "


def keep(database: Database) -> None:
    """Have the database record every change of a lease from now on."""
    with database.engine.begin() as connection:
        _journal.create(connection)
        clock = str(now().compile(dialect=connection.dialect))
        insert = _INSERT.format(clock=clock)
        if database.dialect == "postgresql":
            body = f"begin {insert}; return null; end"
            connection.exec_driver_sql(
                f"create function journal() returns trigger language plpgsql as $${body}$$"
            )
            connection.exec_driver_sql(f"{_TRIGGER} execute function journal()")
        elif database.dialect == "sqlite":
            connection.exec_driver_sql(f"{_TRIGGER} begin {insert}; end")
        else:
            connection.exec_driver_sql(f"{_TRIGGER} {insert}")


def drop(database: Database) -> None:
    """Forget all of it."""
    with database.engine.begin() as connection:
        on = " on work" if database.dialect == "postgresql" else ""
        connection.exec_driver_sql(f"drop trigger journal_of_work{on}")
        if database.dialect == "postgresql":
            connection.exec_driver_sql("drop function journal")
        _journal.drop(connection)


def claims(database: Database) -> int:
    """Return how often work was claimed.

    Each must have the next fence number and find nobody: no owner, or one whose lease is over.
    """
    c = _journal.c
    claimed = sa.select(_journal).where(c.new_fence != c.old_fence)
    found = database.read(lambda connection: connection.execute(claimed).all())
    for row in found:
        assert row.new_fence == row.old_fence + 1, row
        assert row.old_owner is None or row.old_until <= row.made_at, row
        assert row.new_owner is not None, row
    return len(found)


def owners(database: Database) -> int:
    """Return how many processes have worked."""
    found = sa.select(sa.func.count(sa.distinct(_journal.c.new_owner)))
    return database.read(lambda connection: connection.scalar(found)) or 0
