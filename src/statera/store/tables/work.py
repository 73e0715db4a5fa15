"""The work queue: one row per load balancer, as long-lived as it (design §5).

`due_at` null: nothing to do.  A wish sets `due_at` and raises `nudges`; a worker that finishes
clears `due_at` only if fence and nudges are still those that it claimed.
"""

from __future__ import annotations

import sqlalchemy as sa

from statera.store.schema import metadata
from statera.store.types import OPTIONS, Id, Seconds, Text

work = sa.Table(
    "work",
    metadata,
    sa.Column("load_balancer_id", Id, primary_key=True),
    sa.Column("due_at", Seconds, index=True),
    sa.Column("nudges", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("leased_by", sa.String(64)),
    sa.Column("leased_until", Seconds),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("last_error", Text),
    **OPTIONS,
)

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(64)),
    sa.Column("until", Seconds),
    **OPTIONS,
)
"""Named leases: who decides about many (purging, dead machines)."""
