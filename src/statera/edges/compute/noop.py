"""The compute service that pretends: there is always room, on a machine that does not exist."""

from __future__ import annotations

import uuid

from statera.edges.compute.protocol import Placement

MACHINE_ID = "00000000-0000-4000-8000-00000000000f"
"""The machine that every amphora is said to be on."""

_NAMESPACE = uuid.UUID("9f5cde1b-0c37-4d2f-8f3e-3b8e3c1f5a77")


class NoopCompute:
    """Implements `edges.compute.protocol.Compute`; remembers nothing."""

    reports = False

    def place(self, amphora_id: str, load_balancer_id: str) -> Placement:  # noqa: ARG002
        """Return the same placement whenever the same amphora is placed."""
        return Placement(MACHINE_ID, str(uuid.uuid5(_NAMESPACE, amphora_id)))

    def release(self, amphora_id: str) -> None:
        """Do nothing: nothing was made."""
