"""The status tree of a load balancer (`spec/api-resources` §1.7): one statement per table."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from statera.store.queries import HEALTH_MONITORS, LISTENERS, MEMBERS, POOLS, Row, Source

_STATUSES = ("id", "name", "operating_status", "provisioning_status")


def status_tree(connection: Connection, row: Row, ceiling: float) -> dict[str, Any]:
    """Return the tree below a load balancer's row."""

    def under(source: Source) -> list[Row]:
        c = source.table.c
        mine = source.select.where(c.load_balancer_id == row["id"])
        found = connection.execute(mine.order_by(c.created_at, c.id))
        return [source.read(one, ceiling) for one in found]

    pools = {one["id"]: _shown(one) for one in under(POOLS)}
    for one in pools.values():
        one |= {"health_monitor": None, "members": []}
    # On a server each statement sees a moment of its own: the pool of a row may be younger.
    for monitor in under(HEALTH_MONITORS):
        if monitor["pool_id"] in pools:
            pools[monitor["pool_id"]]["health_monitor"] = _shown(monitor, "type")
    for member in under(MEMBERS):
        if member["pool_id"] in pools:
            pools[member["pool_id"]]["members"].append(_shown(member, "address", "protocol_port"))
    listeners = [
        _shown(one) | {"pools": [pools[key] for key in (one["default_pool_id"],) if key in pools]}
        for one in under(LISTENERS)
    ]
    return _shown(row) | {"listeners": listeners}


def _shown(row: Row, *more: str) -> dict[str, Any]:
    return {name: row[name] for name in (*_STATUSES, *more)} | {"name": row["name"] or ""}
