"""The tree of a single-call creation: its rows, and its reply with every object expanded."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from statera.api.desk import Desk
from statera.api.health_monitors import health_monitor_row
from statera.api.listeners import listener_row
from statera.api.member_rows import member_row
from statera.api.pools import pool_row
from statera.lb import rules_tree
from statera.lb.declare import reply_of
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.lb.statuses import NO_MONITOR
from statera.store.queries import HEALTH_MONITORS, LISTENERS, MEMBERS, POOLS, Row
from statera.store.writes_creation import Tree


def planted(tree: rules_tree.Tree) -> Tree:
    """Return the rows of a tree, with ids and references in place."""
    pools = [pool_row(values) for values in tree.pools]
    listeners = [
        listener_row(values) | {"default_pool_id": None if place is None else pools[place]["id"]}
        for values, place in zip(tree.listeners, tree.uses, strict=True)
    ]
    return Tree(
        listeners=listeners,
        pools=pools,
        members=[
            member_row(values, one["id"], NO_MONITOR) for one in pools for values in one["members"]
        ],
        health_monitors=[
            health_monitor_row(one["healthmonitor"], one["id"])
            for one in pools
            if one["healthmonitor"] is not None
        ],
    )


def tree_reply(connection: Connection, desk: Desk, row: Row, expanded: bool) -> dict[str, Any]:
    """Return the reply of a creation; `row` is the full row of the load balancer."""
    reply = desk.reply(row)
    if not expanded:
        return reply
    ceiling, root = desk.context.ceiling, row["id"]
    monitors = {}
    for one in HEALTH_MONITORS.of(connection, "load_balancer_id", root, ceiling):
        monitors[one["pool_id"]] = _without(reply_of(HealthMonitor, one), "pools")
    members: dict[str, list[dict[str, Any]]] = {}
    for one in MEMBERS.of(connection, "load_balancer_id", root, ceiling):
        members.setdefault(one["pool_id"], []).append(reply_of(Member, one))
    reply["listeners"] = [
        _without(reply_of(Listener, one), "loadbalancers")
        for one in LISTENERS.of(connection, "load_balancer_id", root, ceiling)
    ]
    reply["pools"] = [
        _without(reply_of(Pool, one), "loadbalancers", "healthmonitor_id")
        | {"healthmonitor": monitors.get(one["id"]), "members": members.get(one["id"], [])}
        for one in POOLS.of(connection, "load_balancer_id", root, ceiling)
    ]
    return reply


def _without(reply: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in reply.items() if name not in names}
