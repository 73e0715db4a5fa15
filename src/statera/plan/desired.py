"""The desired state of one load balancer: what its rows say, doomed ones included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.load_balancer import LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool

Child = Listener | Pool | Member | HealthMonitor
Row = LoadBalancer | Child


@dataclass(frozen=True, slots=True)
class Desired:
    """One load balancer with everything under it; each tuple in order of creation."""

    load_balancer: LoadBalancer
    listeners: tuple[Listener, ...] = ()
    pools: tuple[Pool, ...] = ()
    members: tuple[Member, ...] = ()
    monitors: tuple[HealthMonitor, ...] = ()

    def rows(self) -> Iterator[Row]:
        """Yield every row, the load balancer first."""
        yield self.load_balancer
        yield from self.listeners
        yield from self.pools
        yield from self.members
        yield from self.monitors
