"""The provisioning status in SQL: the same function of a row and the time as `lb.statuses`.

Lists filter and sort by it; one test holds the two against each other.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from statera.lb import statuses
from statera.store.types import now


def provisioning_status(table: sa.FromClause, ceiling: float, at: Any = None) -> sa.Case[str]:
    """Return the status of the rows of `table` at the time `at` (default: the database's clock).

    `ceiling` is how many seconds a wish may be pending before it shows as ERROR.
    """
    c = table.c
    pending = c.settled < c.generation
    age = (now() if at is None else at) - c.pending_since
    overdue = sa.and_(pending, c.pending_since.is_not(None), age > ceiling)
    return sa.case(
        (c.fault_generation == c.generation, statuses.ERROR),
        (overdue, statuses.ERROR),
        (c.live.is_(None), statuses.PENDING_DELETE),
        (c.settled < c.born, statuses.PENDING_CREATE),
        (pending, statuses.PENDING_UPDATE),
        else_=statuses.ACTIVE,
    )
