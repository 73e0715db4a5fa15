"""Traffic counters: totals that only grow, whatever restarts, is lost or arrives twice.

Agents send what they have counted since a process epoch began; we add the difference to what was
added last.  Totals of amphorae that are gone stay in the sums of their listener.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.spec.report import Counters
from statera.store.tables.objects import listener
from statera.store.tables.placement import counter

FIELDS = ("bytes_in", "bytes_out", "total_connections", "request_errors")
"""What grows; `active_connections` is a gauge and replaced."""

MOST = 2**60
"""A total stays there: sums of several still fit into an integer of every database."""


@dataclass(frozen=True, slots=True)
class Total:
    """The stored state of one counter row: totals, and what was added last."""

    epoch: int
    totals: Mapping[str, int]
    last: Mapping[str, int]


def added(before: Total | None, seen: Counters) -> Total | None:
    """Return the state after `seen`; None when it is older than what was added already."""
    values = {name: getattr(seen, name) for name in FIELDS}
    if before is None:
        return Total(seen.epoch, values, values)
    if seen.epoch < before.epoch:
        return None
    last = before.last if seen.epoch == before.epoch else dict.fromkeys(FIELDS, 0)
    if any(values[name] < last.get(name, 0) for name in FIELDS):
        return None
    grown = {name: values[name] - last.get(name, 0) for name in FIELDS}
    totals = {name: min(before.totals[name] + grown[name], MOST) for name in FIELDS}
    return Total(seen.epoch, totals, values)


Key = tuple[str, str]
"""(listener id, amphora id)."""


def flush(connection: Connection, load_balancer_id: str, seen: Mapping[Key, Counters]) -> None:
    """Add counters of one load balancer; unknown listeners (deleted by now) are left out."""
    known = set(
        connection.scalars(
            sa.select(listener.c.id).where(listener.c.load_balancer_id == load_balancer_id)
        )
    )
    rows = {
        (row.object_id, row.amphora_id): row
        for row in connection.execute(
            sa.select(counter)
            .where(counter.c.load_balancer_id == load_balancer_id)
            .with_for_update()
        )
    }
    inserts: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    for key, counters in seen.items():
        if key[0] in known:
            _put(key, counters, rows.get(key), (inserts, updates))
    if inserts:
        connection.execute(
            sa.insert(counter), [{**row, "load_balancer_id": load_balancer_id} for row in inserts]
        )
    if updates:
        connection.execute(_UPDATE, updates)


def _put(
    key: Key,
    seen: Counters,
    row: sa.Row[Any] | None,
    into: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    before = None
    if row is not None:
        before = Total(row.epoch, {name: row._mapping[name] for name in FIELDS}, row.last)
    after = added(before, seen)
    if after is None or (row is not None and _unchanged(row, after, seen)):
        return
    values: dict[str, Any] = {
        **after.totals,
        "epoch": after.epoch,
        "active_connections": seen.active_connections,
        "last": dict(after.last),
    }
    if row is None:
        into[0].append({"object_id": key[0], "amphora_id": key[1], **values})
    else:
        named = {f"new_{name}": value for name, value in values.items()}
        into[1].append({"the_object": key[0], "the_amphora": key[1], **named})


def _unchanged(row: sa.Row[Any], after: Total, seen: Counters) -> bool:
    now = (after.epoch, dict(after.last), seen.active_connections)
    return now == (row.epoch, row.last, row.active_connections)


_UPDATE = (
    sa.update(counter)
    .where(
        counter.c.object_id == sa.bindparam("the_object"),
        counter.c.amphora_id == sa.bindparam("the_amphora"),
    )
    .values(
        {
            name: sa.bindparam(f"new_{name}", type_=counter.c[name].type)
            for name in (*FIELDS, "epoch", "active_connections", "last")
        }
    )
)
