"""A batch of members as a few statements, however many members it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.store.queries import CHUNK
from statera.store.tables.objects import member, tag
from statera.store.writes import Wish, doom, insert, insert_tags, stamp

COLUMNS = (
    "id",
    "address",
    "protocol_port",
    "name",
    "admin_state_up",
    "weight",
    "backup",
    "subnet_id",
    "monitor_address",
    "monitor_port",
)
"""What a batch can change, after what identifies the member."""

Existing = dict[tuple[str, int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch does: rows to create; ids that it names; of those, the new values; ids to go."""

    new: Sequence[Mapping[str, Any]] = field(default=())
    named: Sequence[str] = field(default=())
    changed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gone: Sequence[str] = field(default=())


def existing(connection: Connection, pool_id: str) -> Existing:
    """Return the living members of a pool by (address, protocol_port)."""
    columns = [member.c[name] for name in COLUMNS]
    statement = sa.select(*columns).where(member.c.pool_id == pool_id, member.c.live == 1)
    rows = (dict(zip(COLUMNS, row, strict=True)) for row in connection.execute(statement))
    return {(row["address"], row["protocol_port"]): row for row in rows}


def apply(connection: Connection, wish: Wish, batch: Batch) -> None:
    """Make the rows what the batch says."""
    doom(connection, wish, member, "id", batch.gone)
    stamp(connection, wish, member, "id", batch.named)
    if batch.changed:
        connection.execute(_CHANGE, [_values(wish, *item) for item in batch.changed.items()])
    for ids in _chunks(list(batch.tags)):
        connection.execute(sa.delete(tag).where(tag.c.object_id.in_(ids)))
    insert_tags(connection, batch.tags)
    insert(connection, wish, member, batch.new)


_CHANGED = COLUMNS[3:]
_CHANGE = (
    sa.update(member)
    .where(member.c.id == sa.bindparam("wanted"))
    .values(
        changed=sa.bindparam("in_generation"),
        **{name: sa.bindparam(f"new_{name}") for name in _CHANGED},
    )
)


def _values(wish: Wish, member_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    new = {f"new_{name}": values[name] for name in _CHANGED}
    return {"wanted": member_id, "in_generation": wish.generation, **new}


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
