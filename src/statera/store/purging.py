"""Sweeps over many load balancers, by the holder of one named lease.

Each takes a bounded number of rows, so that no transaction is long; the next round takes the rest.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.plan.observation import DELETED
from statera.store import observations
from statera.store.amphorae import moment
from statera.store.tables import objects
from statera.store.tables.placement import (
    amphora,
    counter,
    document,
    gateway,
    observation,
)
from statera.store.tables.work import work
from statera.store.types import now
from statera.store.work import nudge

MOST = 200
"""Rows in one sweep."""
SILENCE = 30.0
"""Seconds after which a gateway that does not beat is dead (it beats every 5)."""


def load_balancers(connection: Connection, age: float) -> int:
    """Remove load balancers DELETED for `age` seconds, amphorae and work with them."""
    table = objects.load_balancer
    ids = _found(connection, sa.select(table.c.id).where(table.c.deleted_at <= now() - age))
    if ids:
        owned = sa.select(amphora.c.id).where(amphora.c.load_balancer_id.in_(ids))
        _remove_amphorae(connection, list(connection.scalars(owned)))
        connection.execute(sa.delete(counter).where(counter.c.load_balancer_id.in_(ids)))
        connection.execute(sa.delete(work).where(work.c.load_balancer_id.in_(ids)))
        connection.execute(sa.delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def amphorae(connection: Connection, age: float) -> int:
    """Remove amphorae DELETED for `age` seconds; their traffic stays in the sums."""
    before = moment() - datetime.timedelta(seconds=age)
    ids = _found(
        connection,
        sa.select(amphora.c.id).where(amphora.c.status == DELETED, amphora.c.updated_at <= before),
    )
    _remove_amphorae(connection, ids)
    return len(ids)


def lapse_reservations(connection: Connection) -> int:
    """Make work due on reservations whose time is over, should nobody have."""
    table = objects.load_balancer
    ids = _found(
        connection,
        sa.select(table.c.id)
        .outerjoin(work, work.c.load_balancer_id == table.c.id)
        .where(
            table.c.live.is_(None),
            table.c.deleted_at.is_(None),
            table.c.reserved_until <= now(),
            work.c.due_at.is_(None),
        ),
    )
    for load_balancer_id in sorted(ids):  # as whoever else nudges several
        nudge(connection, load_balancer_id)
    return len(ids)


def dead_gateways(connection: Connection) -> int:
    """Forget gateways that beat no more, and that machines were connected to them.

    A beat far ahead was written under another clock: the next one of a living gateway mends it.
    """
    c = gateway.c
    late = sa.or_(c.beat_at < now() - SILENCE, c.beat_at > now() + SILENCE)
    ids = _found(connection, sa.select(c.id).where(late).order_by(c.id).with_for_update())
    if ids:
        observations.forget(connection, ids)
    return len(ids)


def _found(connection: Connection, wanted: sa.Select[tuple[str]]) -> list[str]:
    return list(connection.scalars(wanted.limit(MOST)))


def _remove_amphorae(connection: Connection, ids: list[str]) -> None:
    if ids:
        connection.execute(sa.delete(observation).where(observation.c.amphora_id.in_(ids)))
        connection.execute(sa.delete(document).where(document.c.id.in_(ids)))
        connection.execute(sa.delete(amphora).where(amphora.c.id.in_(ids)))
