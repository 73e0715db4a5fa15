"""How often an agent asked or said what is not its own: one row per who and what, never more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.store.tables.placement import refusal
from statera.store.types import now

MACHINE = "machine"
AMPHORA = "amphora"
NETWORK = "network"
UNKNOWN = "unknown"
"""What it was about; `unknown`: nobody's."""

Key = tuple[str, str]
"""Subject (a machine's id, or a peer where no machine is proven) and kind."""


@dataclass(frozen=True, slots=True)
class Refused:
    """How often, and the id that was asked for last."""

    count: int
    last: str


def add(connection: Connection, refused: Mapping[Key, Refused]) -> None:
    """Add to the counts."""
    for (subject, kind), each in sorted(refused.items()):
        here = sa.and_(refusal.c.subject == subject, refusal.c.kind == kind)
        noted = {"last": each.last, "last_at": now()}
        counted = connection.execute(
            sa.update(refusal).where(here).values(count=refusal.c.count + each.count, **noted)
        )
        if not counted.rowcount:
            connection.execute(
                sa.insert(refusal).values(subject=subject, kind=kind, count=each.count, **noted)
            )
