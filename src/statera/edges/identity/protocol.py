"""Who is calling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from statera.lb.caller import Caller


class Identity(Protocol):
    """Turns what a request carries into a caller."""

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller; `headers` have lower-case names (`x-auth-token`).

        Raise `lb.errors.Unauthorized` for a missing or invalid token, `lb.errors.Retryable` when
        the identity service cannot be asked.
        """
        ...
