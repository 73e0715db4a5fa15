"""Nobody is checked: for tests of the API alone.  Never for a network that others reach."""

from __future__ import annotations

from collections.abc import Mapping

from statera.lb.caller import Caller


class NoAuth:
    """Every caller is an administrator of the project that the request names."""

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Return an administrator; project and user come from `x-project-id` and `x-user-id`."""
        return Caller(
            user_id=headers.get("x-user-id") or "noauth",
            project_id=headers.get("x-project-id") or None,
            roles=frozenset(("admin",)),
        )
