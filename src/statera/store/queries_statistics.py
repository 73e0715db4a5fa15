"""What load balancers and listeners have carried: sums over the counters of their amphorae.

Amphorae that are gone stay in the sums; connections are open only on those in service.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.store.tables.objects import listener
from statera.store.tables.placement import amphora, counter

IN_SERVICE = "ALLOCATED"

_NAMES = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")
_active = sa.case((amphora.c.status == IN_SERVICE, counter.c.active_connections), else_=0)
_SUMS = sa.select(
    sa.func.sum(_active),
    *(sa.func.sum(counter.c[name]) for name in _NAMES[1:]),
).select_from(counter.outerjoin(amphora, amphora.c.id == counter.c.amphora_id))
_OF_LISTENER = _SUMS.where(counter.c.object_id == sa.bindparam("wanted"))
_OF_LOAD_BALANCER = _SUMS.where(
    counter.c.object_id.in_(
        sa.select(listener.c.id).where(listener.c.load_balancer_id == sa.bindparam("wanted"))
    )
)


def listener_statistics(connection: Connection, listener_id: str) -> dict[str, int]:
    """Return the five counters of a listener; zeroes if nothing was reported."""
    return _sums(connection, _OF_LISTENER, listener_id)


def load_balancer_statistics(connection: Connection, load_balancer_id: str) -> dict[str, int]:
    """Return the five counters of a load balancer: the sums over its listeners."""
    return _sums(connection, _OF_LOAD_BALANCER, load_balancer_id)


def _sums(connection: Connection, statement: sa.Select[Any], wanted: str) -> dict[str, int]:
    found = connection.execute(statement, {"wanted": wanted}).one()
    return {name: int(value or 0) for name, value in zip(_NAMES, found, strict=True)}
