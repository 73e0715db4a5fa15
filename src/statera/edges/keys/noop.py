"""The key manager that pretends: everybody may read every secret, and none has content."""

from __future__ import annotations

from statera.lb.caller import Caller


class NoopKeys:
    """Implements `edges.keys.protocol.Keys`."""

    def readable(self, reference: str, caller: Caller) -> bool:  # noqa: ARG002
        """Return True."""
        return True
