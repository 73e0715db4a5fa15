"""What steers the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from statera.service.settings import option


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Group `gateway`."""

    socket: str = option(
        "/run/statera/gateway.sock", "Unix socket that agents of this machine dial."
    )
    report_interval: float = option(
        10.0, "Seconds between the reports of an agent when nothing changes.", min=1, max=60
    )
    poll_interval: float = option(
        5.0, "Seconds between looks at the documents when nobody wakes us.", min=0.05, max=60
    )
    flush_interval: float = option(
        10.0, "Seconds that counters are gathered before they are written.", min=0.05, max=60
    )
    beat_interval: float = option(
        5.0, "Seconds between beats of our own; three are missed before we count as dead.", max=10
    )
    threads: int = option(
        4, "Database calls at once; the loop itself never waits for one.", min=1, max=64
    )
    message_limit: int = option(
        64 * 2**20, "Bytes in one message at most: a report of ten thousand amphorae.", min=2**20
    )
