"""Who asks: the one value about identity that the whole house shares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller; `project_id` is None for an unscoped token."""

    user_id: str
    project_id: str | None
    roles: frozenset[str]
    token_id: str = ""
    """Identifies the token in logs (an audit id, never the token)."""
