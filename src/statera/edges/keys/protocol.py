"""Where certificates live."""

from __future__ import annotations

from typing import Protocol

from statera.lb.caller import Caller


class Keys(Protocol):
    """The key manager."""

    def readable(self, reference: str, caller: Caller) -> bool:
        """Say whether the caller may read the secret or container behind `reference`."""
        ...
