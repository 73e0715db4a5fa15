"""Creating a load balancer in three moves: reserve, (call outside,) confirm (design §4).

The reservation is a doomed, hidden row with work due when it ends: if nobody confirms it, the
ordinary deletion cleans up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.store.tables.objects import (
    additional_vip,
    health_monitor,
    listener,
    load_balancer,
    member,
    pool,
)
from statera.store.tables.work import work
from statera.store.types import now
from statera.store.work import nudge
from statera.store.writes import Wish, insert, insert_tags, moment_of

_COLUMNS = frozenset(load_balancer.columns.keys())


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows of the objects that are created with a load balancer, ids and references in place."""

    listeners: Sequence[Mapping[str, Any]] = field(default=())
    pools: Sequence[Mapping[str, Any]] = field(default=())
    members: Sequence[Mapping[str, Any]] = field(default=())
    health_monitors: Sequence[Mapping[str, Any]] = field(default=())


_c = load_balancer.c
_NOW = sa.select(now())
_RESERVE = load_balancer.insert()
_WORK = work.insert()
_STANDING = (
    sa.select(_c.project_id, _c.generation, now())
    .where(
        _c.id == sa.bindparam("wanted"),
        _c.deleted_at.is_(None),
        _c.live.is_(None),
        _c.reserved_until > now(),
    )
    .with_for_update()
)
_VIP = ("vip_port_id", "vip_network_id", "vip_address", "vip_qos_policy_id")
_CONFIRM = (
    sa.update(load_balancer)
    .where(_c.id == sa.bindparam("wanted"))
    .values(
        {name: sa.bindparam("next") for name in ("generation", "changed", "born")}
        | {name: sa.bindparam(f"new_{name}") for name in _VIP}
        | {"pending_since": sa.bindparam("at"), "live": 1, "reserved_until": None}
    )
)
_MINE = sa.and_(
    _c.id == sa.bindparam("wanted"),
    _c.live.is_(None),
    _c.reserved_until.is_not(None),
    _c.deleted_at.is_(None),
)


def reserve(connection: Connection, row: Mapping[str, Any], seconds: float) -> None:
    """Store a load balancer that is not yet one, for so long.

    `row` holds its own columns, `id` included.
    """
    at: float = connection.execute(_NOW).scalar_one()
    row = {
        **{name: row[name] for name in _COLUMNS if name in row},
        "created_at": moment_of(at),
        "generation": 1,
        "changed": 1,
        "born": 1,
        "settled": 0,
        "pending_since": at,
        "live": None,
        "reserved_until": at + seconds,
    }
    connection.execute(_RESERVE, row)
    due = {"load_balancer_id": row["id"], "due_at": at + seconds, "nudges": 1}
    connection.execute(_WORK, {**due, "attempts": 0, "fence": 0})


def confirm(
    connection: Connection, load_balancer_id: str, row: Mapping[str, Any], tree: Tree
) -> bool:
    """Make a reservation a load balancer, with its VIP and its tree.

    `row` holds the VIP's columns, `tags` and `additional_vips`.  Return False if the reservation
    does not stand any more: then nothing is changed.
    """
    found = connection.execute(_STANDING, {"wanted": load_balancer_id}).first()
    if found is None:
        return False
    project_id, generation, at = found
    wish = Wish(load_balancer_id, project_id, generation + 1, at, moment_of(at))
    own = {f"new_{name}": row[name] for name in _VIP}
    numbers = {"wanted": load_balancer_id, "next": wish.generation, "at": at}
    connection.execute(_CONFIRM, {**numbers, **own})
    _plant(connection, wish, row, tree)
    nudge(connection, load_balancer_id)
    return True


def _plant(connection: Connection, wish: Wish, row: Mapping[str, Any], tree: Tree) -> None:
    insert_tags(connection, {wish.load_balancer_id: row["tags"]})
    if row["additional_vips"]:
        vips = [
            {"load_balancer_id": wish.load_balancer_id, "position": position, **vip}
            for position, vip in enumerate(row["additional_vips"])
        ]
        connection.execute(additional_vip.insert(), vips)
    insert(connection, wish, pool, tree.pools)
    insert(connection, wish, listener, tree.listeners)
    insert(connection, wish, member, tree.members)
    insert(connection, wish, health_monitor, tree.health_monitors)


def refuse(connection: Connection, load_balancer_id: str) -> None:
    """Remove a reservation for which nothing was made outside."""
    wanted = {"wanted": load_balancer_id}
    if connection.execute(sa.delete(load_balancer).where(_MINE), wanted).rowcount:
        connection.execute(sa.delete(work).where(work.c.load_balancer_id == load_balancer_id))
