"""Named leases: one holder at a time decides about many (purging, dead gateways)."""

from __future__ import annotations

import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy.engine import Connection

from statera.store.database import Database
from statera.store.tables.work import lease
from statera.store.types import now

LONGEST = 600.0
"""Seconds that a lease lasts at most; an end further ahead was written under another clock."""


def acquire(database: Database, name: str, holder: str, seconds: float) -> bool:
    """Take or prolong a named lease from now on; False when another holds it."""
    until = now() + min(seconds, LONGEST)

    def take(connection: Connection) -> bool:
        free = sa.or_(
            lease.c.holder == holder,
            lease.c.holder.is_(None),
            lease.c.until <= now(),
            lease.c.until > now() + LONGEST,
        )
        taken = connection.execute(
            sa.update(lease).where(lease.c.name == name, free).values(holder=holder, until=until)
        )
        if taken.rowcount == 1:
            return True
        if connection.scalar(sa.select(lease.c.name).where(lease.c.name == name)) is not None:
            return False
        connection.execute(sa.insert(lease).values(name=name, holder=holder, until=until))
        return True

    try:
        return database.write(take)
    except db_exception.DBDuplicateEntry:  # another made the row in the same moment
        return False


def release(database: Database, name: str, holder: str) -> None:
    """Give a named lease up, if it is still held."""

    def give(connection: Connection) -> None:
        connection.execute(
            sa.update(lease)
            .where(lease.c.name == name, lease.c.holder == holder)
            .values(holder=None, until=None)
        )

    database.write(give)
