"""What steers the controller."""

from __future__ import annotations

from dataclasses import dataclass

from statera.service.settings import option
from statera.store.work import FURTHEST, LONGEST_LEASE

WEEK = 604_800


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Group `controller`."""

    workers: int = option(
        4, "Load balancers worked on at once; they mostly wait for the edges.", min=1, max=256
    )
    lease_seconds: float = option(
        30.0, "How long a dead controller's work stays its own.", min=1, max=LONGEST_LEASE
    )
    poll_interval: float = option(
        1.0, "Seconds between looks at the queue when nobody wakes us.", min=0.05, max=5
    )
    max_backoff: float = option(
        300.0, "Longest wait between two attempts, in seconds.", min=1, max=FURTHEST
    )
    cleanup_interval: float = option(30.0, "Seconds between rounds of housekeeping.", min=1)
    load_balancer_expiry_age: int = option(
        WEEK, "Seconds that the row of a deleted load balancer is kept.", min=0
    )
    amphora_expiry_age: int = option(
        WEEK, "Seconds that the row of a deleted amphora is kept.", min=0
    )
