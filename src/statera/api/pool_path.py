"""The pool that a path names: what stands under it is reached through it.

Its 404 comes in the envelope of routing errors (`spec/api-behaviour` §4.1 b).
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.api import policy
from statera.api.context import ApiContext
from statera.api.desk import POOL_TITLE, immutable, refuse_doomed_root
from statera.lb.caller import Caller
from statera.lb.errors import NotFound
from statera.store.queries import POOLS, Row
from statera.store.tables.objects import pool
from statera.store.writes import Held, Wish, hold, parent, stamp, stamp_pool_users

_LIVE = sa.select(pool.c.live).where(pool.c.id == sa.bindparam("wanted"))


def missing_pool(pool_id: str, *, routed: bool) -> NotFound:
    """Return the error for an unknown pool."""
    return NotFound.resource(POOL_TITLE, pool_id, routed=routed)


def pool_row(
    context: ApiContext, connection: Connection, pool_id: str, *, routed: bool = True
) -> Row:
    """Return the row of a pool; raise `NotFound`."""
    row = POOLS.row(connection, pool_id, context.ceiling)
    if row is None:
        raise missing_pool(pool_id, routed=routed)
    return row


def allowed_pool(context: ApiContext, caller: Caller, pool_id: str, rule: str) -> Row:
    """Return the row of a pool under which the caller may do what `rule` names."""
    row = context.database.read(lambda connection: pool_row(context, connection, pool_id))
    policy.enforce(caller, rule, row["project_id"])
    return row


def hold_pool(connection: Connection, pool_id: str, *, routed: bool = True) -> Held:
    """Lock the load balancer of a pool; raise `NotFound`."""
    root = parent(connection, pool, pool_id)
    held = None if root is None else hold(connection, root)
    if held is None:
        raise missing_pool(pool_id, routed=routed)
    return held


def refuse_doomed_pool(connection: Connection, held: Held, pool_id: str) -> None:
    """Raise `Conflict` if the pool, or its load balancer, is being deleted."""
    live = connection.execute(_LIVE, {"wanted": pool_id}).scalar()
    if live is None and not held.doomed:
        raise immutable(POOL_TITLE, pool_id)
    refuse_doomed_root(held)


def stamp_pool(connection: Connection, wish: Wish, pool_id: str) -> None:
    """Stamp a pool of which something changes, and the listeners that use it."""
    stamp(connection, wish, pool, "id", [pool_id])
    stamp_pool_users(connection, wish, pool_id)
