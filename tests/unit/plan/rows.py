"""Rows of a load balancer for tests of the pure core."""

from __future__ import annotations

import uuid
from typing import Any

from statera.lb.declare import made
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.load_balancer import LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.plan.desired import Desired

NETWORK, SUBNET = "network-vip", "subnet-vip"
FAR_NETWORK, FAR_SUBNET = "network-far", "subnet-far"


def fresh_id() -> str:
    """Return a new id."""
    return str(uuid.uuid4())


def born(generation: int) -> dict[str, Any]:
    """Return the columns of a row created at a generation."""
    return {
        "id": fresh_id(),
        "generation": generation,
        "changed": generation,
        "born": generation,
        "pending_since": 100.0,
        "project_id": "project",
    }


def load_balancer(generation: int = 1, **more: Any) -> LoadBalancer:
    """Return a load balancer on the VIP network."""
    fixed = {
        "vip_address": "10.1.0.10",
        "vip_subnet_id": SUBNET,
        "vip_network_id": NETWORK,
        "vip_port_id": "port-vip",
    }
    return LoadBalancer(**{**born(generation), "born": 1, **fixed, **more})


def listener(generation: int = 1, **more: Any) -> Listener:
    """Return an HTTP listener on port 80."""
    fixed = {"protocol": "HTTP", "protocol_port": 80}
    return made(Listener, {**born(generation), **fixed, **more})


def pool(generation: int = 1, **more: Any) -> Pool:
    """Return an HTTP pool."""
    fixed = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    return Pool(**{**born(generation), **fixed, **more})


def member(pool_id: str, generation: int = 1, **more: Any) -> Member:
    """Return a member of a pool."""
    fixed = {"pool_id": pool_id, "address": "10.1.0.20", "protocol_port": 8080}
    return Member(**{**born(generation), **fixed, **more})


def monitor(pool_id: str, generation: int = 1, **more: Any) -> HealthMonitor:
    """Return an HTTP monitor of a pool."""
    fixed = {"pool_id": pool_id, "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}
    return HealthMonitor(**{**born(generation), **fixed, **more})


def tree() -> Desired:
    """Return a load balancer with a listener, a pool, two members and a monitor, all new."""
    one = pool()
    return Desired(
        load_balancer=load_balancer(),
        listeners=(listener(default_pool_id=one.id),),
        pools=(one,),
        members=(member(one.id), member(one.id, address="10.9.0.5", subnet_id=FAR_SUBNET)),
        monitors=(monitor(one.id),),
    )
