"""Rows of new members."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.api.desk import new_id
from statera.lb.reading import Values
from statera.store.tables.objects import health_monitor

_MONITOR = sa.select(health_monitor.c.id).where(
    health_monitor.c.pool_id == sa.bindparam("in_pool"), health_monitor.c.live == 1
)


def member_row(values: Values, pool_id: str, operating_status: str) -> dict[str, Any]:
    """Return the row of a new member."""
    return {
        **values,
        "id": new_id(),
        "pool_id": pool_id,
        "operating_status": operating_status,
        "vnic_type": "normal",
    }


def has_monitor(connection: Connection, pool_id: str) -> bool:
    """Say whether the pool has a living health monitor."""
    return connection.execute(_MONITOR, {"in_pool": pool_id}).first() is not None
