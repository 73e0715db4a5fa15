"""Wishes: what every write does to the rows of a load balancer (design §4).

A write holds the load balancer's row, takes its next generation, changes and stamps rows, makes
work due, and commits.  All of it happens in one transaction that the caller opens:

    held = hold(connection, load_balancer_id)
    wish = begin(connection, held)
    change(connection, wish, listener, listener_id, values)
    stamp(connection, wish, pool, "id", [pool_id])
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.statuses import provisioning_status
from statera.store.queries import CHUNK, SHOWN
from statera.store.tables.objects import CHILDREN, listener, load_balancer, tag
from statera.store.types import now
from statera.store.work import nudge


@dataclass(frozen=True, slots=True)
class Held:
    """A load balancer whose row the transaction holds; `now` is the database's time of it."""

    id: str
    project_id: str
    generation: int
    born: int
    settled: int
    pending_since: float | None
    live: int | None
    fault_generation: int | None
    provider: str
    vip_address: str | None
    vip_sg_ids: list[str]
    now: float

    @property
    def doomed(self) -> bool:
        """Whether it is being deleted."""
        return self.live is None

    def status(self, ceiling: float) -> str:
        """Return the provisioning status."""
        return provisioning_status(self, self.now, ceiling)


@dataclass(frozen=True, slots=True)
class Wish:
    """The generation that a write took, and when; `moment` is the same time as a date (UTC)."""

    load_balancer_id: str
    project_id: str
    generation: int
    at: float
    moment: datetime.datetime


_l = load_balancer.c
_HELD = (_l.id, _l.project_id, _l.generation, _l.born, _l.settled, _l.pending_since, _l.live)
_HOLD = (
    sa.select(
        *_HELD, _l.fault_generation, _l.provider, _l.vip_address, _l.vip_sg_ids, now().label("now")
    )
    .where(_l.id == sa.bindparam("wanted"), SHOWN)
    .with_for_update()
)


def hold(connection: Connection, load_balancer_id: str) -> Held | None:
    """Lock a load balancer's row until the transaction ends; None if the API shows none."""
    found = connection.execute(_HOLD, {"wanted": load_balancer_id}).first()
    return None if found is None else Held(*tuple(found))


_PARENT = {
    table: sa.select(table.c.load_balancer_id).where(table.c.id == sa.bindparam("wanted"))
    for table in CHILDREN
}


def parent(connection: Connection, table: sa.Table, object_id: str) -> str | None:
    """Return the load balancer of an object, None if there is no such object."""
    found: str | None = connection.execute(_PARENT[table], {"wanted": object_id}).scalar()
    return found


_BEGIN = (
    sa.update(load_balancer)
    .where(_l.id == sa.bindparam("wanted"))
    .values(
        generation=sa.bindparam("next"),
        pending_since=sa.func.coalesce(_l.pending_since, sa.bindparam("at", type_=sa.Double)),
        updated_at=sa.bindparam("moment"),
    )
)


def begin(connection: Connection, held: Held) -> Wish:
    """Take the next generation of a load balancer that this transaction holds; make work due."""
    wish = Wish(held.id, held.project_id, held.generation + 1, held.now, moment_of(held.now))
    values = {"wanted": held.id, "next": wish.generation, "at": wish.at, "moment": wish.moment}
    connection.execute(_BEGIN, values)
    nudge(connection, held.id)
    return wish


def moment_of(seconds: float) -> datetime.datetime:
    """Return the date of a time in seconds since 1970, in UTC without a zone, as stored."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(tzinfo=None)


def born(wish: Wish) -> dict[str, Any]:
    """Return the columns of an object that a wish creates."""
    return {
        "created_at": wish.moment,
        "generation": wish.generation,
        "changed": wish.generation,
        "born": wish.generation,
        "settled": 0,
        "pending_since": wish.at,
        "live": 1,
    }


def insert(
    connection: Connection, wish: Wish, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Create objects; each row holds `id`, its own columns, and `tags` (or none)."""
    if not rows:
        return
    always = {
        **born(wish),
        "project_id": wish.project_id,
        "load_balancer_id": wish.load_balancer_id,
    }
    columns = table.columns.keys()
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        values = [{**{n: row[n] for n in columns if n in row}, **always} for row in part]
        connection.execute(_inserted(table), values)
    insert_tags(connection, {row["id"]: row.get("tags", ()) for row in rows})


def insert_tags(connection: Connection, tags: Mapping[str, Iterable[str]]) -> None:
    """Give objects (by id) their tags."""
    rows = [{"object_id": key, "value": word} for key, words in tags.items() for word in words]
    if rows:
        connection.execute(_inserted(tag), rows)


def stamp(
    connection: Connection, wish: Wish, table: sa.Table, column: str, values: Sequence[str]
) -> None:
    """Make living rows, by the values of a column, wait for a wish that is not about their own
    attributes."""
    _for_each_chunk(connection, _stamped(table, column, ()), wish, values)


def doom(
    connection: Connection, wish: Wish, table: sa.Table, column: str, values: Sequence[str]
) -> None:
    """Delete objects: they are shown, and count for no rule, until that is in force."""
    _for_each_chunk(connection, _stamped(table, column, ("live",)), wish, values, new_live=None)


def change(
    connection: Connection,
    wish: Wish,
    table: sa.Table,
    object_id: str,
    values: Mapping[str, Any],
) -> None:
    """Change attributes of an object (`tags` among them replace the old ones)."""
    own = {"changed": wish.generation} | {n: v for n, v in values.items() if n in table.c}
    statement = _stamped(table, "id", tuple(own))
    new = {f"new_{name}": value for name, value in own.items()}
    _for_each_chunk(connection, statement, wish, [object_id], **new)
    if "tags" in values:
        connection.execute(sa.delete(tag).where(tag.c.object_id == object_id))
        insert_tags(connection, {object_id: values["tags"]})


def stamp_pool_users(connection: Connection, wish: Wish, pool_id: str) -> None:
    """Stamp the listeners that use a pool (`spec/api-behaviour` §1.3)."""
    stamp(connection, wish, listener, "default_pool_id", [pool_id])


def detach_pool(connection: Connection, wish: Wish, pool_id: str) -> None:
    """Take a pool that is being deleted away from the listeners that use it."""
    statement = _stamped(listener, "default_pool_id", ("default_pool_id", "changed"))
    new = {"new_default_pool_id": None, "new_changed": wish.generation}
    _for_each_chunk(connection, statement, wish, [pool_id], **new)


@cache
def _inserted(table: sa.Table) -> sa.Insert:
    return table.insert()


@cache
def _stamped(table: sa.Table, column: str, names: tuple[str, ...]) -> sa.Update:
    """Return the UPDATE that makes rows wait for a wish, and sets the columns `names`.

    Built once for each form: building costs more than running it.
    """
    c = table.c
    wanted: sa.BindParameter[Any] = sa.bindparam("wanted", expanding=True)
    where: list[sa.ColumnElement[bool]] = [c[column].in_(wanted)]
    if not names:
        where.append(c.live == 1)
    pending = sa.bindparam("in_pending_since", type_=sa.Double)
    return (
        sa.update(table)
        .where(*where)
        .values(
            generation=sa.bindparam("in_generation"),
            pending_since=sa.func.coalesce(c.pending_since, pending),
            updated_at=sa.bindparam("in_updated_at"),
            **{name: sa.bindparam(f"new_{name}", type_=c[name].type) for name in names},
        )
    )


def _for_each_chunk(
    connection: Connection, statement: sa.Update, wish: Wish, values: Sequence[str], **new: Any
) -> None:
    always = {
        "in_generation": wish.generation,
        "in_pending_since": wish.at,
        "in_updated_at": wish.moment,
    }
    for start in range(0, len(values), CHUNK):
        wanted = {"wanted": values[start : start + CHUNK]}
        connection.execute(statement, {**wanted, **always, **new})
