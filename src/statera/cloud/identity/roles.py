"""Roles, and which of them follow from others."""

from __future__ import annotations

from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.identity.tables import assignment, role

ADMIN, MEMBER, READER = "admin", "member", "reader"
BUILT_IN = (ADMIN, MEMBER, READER)
_IMPLIES = {ADMIN: MEMBER, MEMBER: READER}


@lru_cache(maxsize=1024)
def closure(names: frozenset[str]) -> frozenset[str]:
    """Return `names` and every role that follows from them."""
    found = set(names)
    for name in names:
        while name in _IMPLIES:
            name = _IMPLIES[name]  # noqa: PLW2901
            found.add(name)
    return frozenset(found)


def granted(connection: Connection, user_id: str, project_id: str) -> frozenset[str]:
    """Return the names of the user's roles on the project, those that follow included."""
    statement = (
        sa.select(role.c.name)
        .join(assignment, assignment.c.role_id == role.c.id)
        .where(assignment.c.user_id == user_id, assignment.c.project_id == project_id)
    )
    return closure(frozenset(connection.scalars(statement)))
