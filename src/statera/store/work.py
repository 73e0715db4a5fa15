"""The work queue: what makes a wish come true even if everybody dies at once."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.store.tables.work import work
from statera.store.types import now


def nudge(connection: Connection, load_balancer_id: str) -> None:
    """Make work on a load balancer due now, in the transaction of the wish.

    The caller holds the load balancer's row lock (or is creating it), so there is no race for the
    insert.
    """
    changed = connection.execute(
        sa.update(work)
        .where(work.c.load_balancer_id == load_balancer_id)
        .values(due_at=now(), nudges=work.c.nudges + 1)
    )
    if changed.rowcount == 0:
        row = {"load_balancer_id": load_balancer_id, "nudges": 1, "attempts": 0, "fence": 0}
        connection.execute(sa.insert(work).values(due_at=now(), **row))
