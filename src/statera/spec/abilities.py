"""Names of what an agent can do.

A field that restricts traffic is harmless to ignore only for a reader that never restricts; so each
such field has an ability, and a document with the field never goes to an agent without it.
"""

from __future__ import annotations

from statera.spec.document import AmphoraSpec

ALLOWED_CIDRS = "allowed-cidrs"
HAPROXY = "haproxy"
PING_MONITOR = "ping-monitor"

ALL = frozenset({ALLOWED_CIDRS, HAPROXY, PING_MONITOR})


def needed(spec: AmphoraSpec) -> frozenset[str]:
    """Return the abilities without which `spec` must not be sent to an agent."""
    names = {HAPROXY}
    if any(listener.allowed_cidrs for listener in spec.listeners):
        names.add(ALLOWED_CIDRS)
    if any(pool.monitor and pool.monitor.type == "PING" for pool in spec.pools):
        names.add(PING_MONITOR)
    return frozenset(names)
