"""Reading objects: one statement for rows, one for everything that they show of other tables.

A `Source` is how one resource is read.  Rows come as dictionaries that hold every column of the
table by name, `provisioning_status`, and (`full`, `page`) every attribute that replies show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.statuses import provisioning_status
from statera.store.tables.objects import (
    additional_vip,
    health_monitor,
    listener,
    load_balancer,
    member,
    pool,
    tag,
)
from statera.store.types import Id, Moment, now

Row = dict[str, Any]

CHUNK = 5000
"""Most ids in one statement: SQLite and PostgreSQL bound the number of parameters."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A list that rows show and other tables hold: `value` of the rows whose `owner` it is.

    `show` makes the attribute out of the (value, text) pairs, in order of creation (or `number`).
    """

    name: str
    owner: sa.Column[Any]
    value: sa.Column[Any]
    show: Callable[[list[tuple[str, str | None]]], Any]
    text: sa.Column[Any] | None = None
    number: sa.Column[Any] | None = None


def _references(found: list[tuple[str, str | None]]) -> list[dict[str, str]]:
    return [{"id": value} for value, _ in found]


def _words(found: list[tuple[str, str | None]]) -> list[str]:
    return [value for value, _ in found]


def _addresses(found: list[tuple[str, str | None]]) -> list[dict[str, Any]]:
    return [{"subnet_id": subnet, "ip_address": address} for subnet, address in found]


def _only(found: list[tuple[str, str | None]]) -> str | None:
    return found[-1][0] if found else None


TAGS = Relation("tags", tag.c.object_id, tag.c.value, _words)


class Source:
    """How one resource is read.

    `relations` are what it shows of other tables; `derive` completes a row out of itself.
    `seen` is the condition that hides rows.
    """

    def __init__(
        self,
        table: sa.Table,
        relations: Sequence[Relation],
        derive: Callable[[Row], None],
        seen: sa.ColumnElement[bool] | None = None,
    ) -> None:
        self.table = table
        self.seen = sa.true() if seen is None else seen
        self._names = (*table.columns.keys(), "now")
        self.select = sa.select(*table.columns, now().label("now")).where(self.seen)
        self._one = self.select.where(table.c.id == sa.bindparam("wanted"))
        self._relations = relations
        self._related = _union(relations)
        self._derive = derive

    def row(self, connection: Connection, object_id: str, ceiling: float) -> Row | None:
        """Return the row of an id without what other tables hold, or None."""
        found = connection.execute(self._one, {"wanted": object_id}).first()
        return None if found is None else self.read(found, ceiling)

    def full(self, connection: Connection, object_id: str, ceiling: float) -> Row | None:
        """Return the row of an id with every attribute that replies show, or None."""
        row = self.row(connection, object_id, ceiling)
        if row is not None:
            self.complete(connection, [row])
        return row

    def rows(self, connection: Connection, statement: sa.Select[Any], ceiling: float) -> list[Row]:
        """Return the full rows of a statement made from `select`."""
        rows = [self.read(found, ceiling) for found in connection.execute(statement)]
        self.complete(connection, rows)
        return rows

    def of(self, connection: Connection, column: str, value: str, ceiling: float) -> list[Row]:
        """Return the full rows with that value in a column, in order of creation."""
        c = self.table.c
        statement = self.select.where(c[column] == value).order_by(c.created_at, c.id)
        return self.rows(connection, statement, ceiling)

    def read(self, found: Any, ceiling: float) -> Row:
        """Return the dictionary of a result row."""
        row = dict(zip(self._names, found, strict=True))
        row["provisioning_status"] = provisioning_status(found, row["now"], ceiling)
        return row

    def complete(self, connection: Connection, rows: list[Row]) -> None:
        """Add to the rows what other tables hold and what follows from themselves."""
        empty: list[tuple[str, str | None]] = []
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            found = self._found(connection, [row["id"] for row in part])
            for position, relation in enumerate(self._relations):
                for row in part:
                    row[relation.name] = relation.show(found.get((position, row["id"]), empty))
        for row in rows:
            self._derive(row)

    def _found(
        self, connection: Connection, ids: Iterable[str]
    ) -> Mapping[tuple[int, str], list[tuple[str, str | None]]]:
        found: dict[tuple[int, str], list[tuple[str, str | None]]] = {}
        for kind, owner, value, text in connection.execute(self._related, {"owners": ids}):
            found.setdefault((kind, owner), []).append((value, text))
        return found


def _union(relations: Sequence[Relation]) -> sa.Select[Any]:
    owners: sa.BindParameter[Any] = sa.bindparam("owners", expanding=True)
    branches = []
    for position, relation in enumerate(relations):
        created = getattr(relation.value.table.c, "created_at", sa.cast(sa.null(), Moment))
        branch = sa.select(
            sa.literal_column(str(position), sa.Integer).label("kind"),
            relation.owner.label("owner"),
            relation.value.label("value"),
            sa.cast(sa.null(), Id).label("text") if relation.text is None else relation.text,
            created.label("made"),
            sa.literal_column("0", sa.Integer).label("number")
            if relation.number is None
            else relation.number,
        ).where(relation.owner.in_(owners))
        branches.append(branch)
    union = sa.union_all(*branches).subquery()
    kind, owner, value, text, made, number = union.c
    return sa.select(kind, owner, value, text).order_by(made, number, value)


def _load_balancer(row: Row) -> None:
    for vip in row["additional_vips"]:
        vip["port_id"] = row["vip_port_id"]


def _listener(row: Row) -> None:
    row["loadbalancers"] = [{"id": row["load_balancer_id"]}]
    row["l7policies"] = []


def _pool(row: Row) -> None:
    row["loadbalancers"] = [{"id": row["load_balancer_id"]}]


def _member(_row: Row) -> None:
    """Nothing follows."""


def _health_monitor(row: Row) -> None:
    row["pools"] = [{"id": row["pool_id"]}]


SHOWN = sa.and_(
    load_balancer.c.deleted_at.is_(None),
    sa.or_(load_balancer.c.live == 1, load_balancer.c.reserved_until.is_(None)),
)
"""Hidden: rows that wait to be purged, and reservations that never became a load balancer."""

LOAD_BALANCERS = Source(
    load_balancer,
    [
        Relation("listeners", listener.c.load_balancer_id, listener.c.id, _references),
        Relation("pools", pool.c.load_balancer_id, pool.c.id, _references),
        Relation(
            "additional_vips",
            additional_vip.c.load_balancer_id,
            additional_vip.c.subnet_id,
            _addresses,
            additional_vip.c.ip_address,
            additional_vip.c.position,
        ),
        TAGS,
    ],
    _load_balancer,
    SHOWN,
)
LISTENERS = Source(listener, [TAGS], _listener)
POOLS = Source(
    pool,
    [
        Relation("listeners", listener.c.default_pool_id, listener.c.id, _references),
        Relation("members", member.c.pool_id, member.c.id, _references),
        Relation("healthmonitor_id", health_monitor.c.pool_id, health_monitor.c.id, _only),
        TAGS,
    ],
    _pool,
)
MEMBERS = Source(member, [TAGS], _member)
HEALTH_MONITORS = Source(health_monitor, [TAGS], _health_monitor)
