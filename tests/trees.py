"""Bodies for single-call creations that tests and benches share."""

from __future__ import annotations

from typing import Any


def http_tree(
    subnet_id: str, members: list[dict[str, Any]], *, monitored: bool = True, name: str = "web"
) -> dict[str, Any]:
    """Return the body of a load balancer with one HTTP listener, a pool, members and a monitor."""
    monitor = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1}
    pool = {
        "name": "servers",
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "members": members,
        **({"healthmonitor": monitor} if monitored else {}),
    }
    listener = {"name": "http", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    body = {"name": name, "vip_subnet_id": subnet_id, "listeners": [listener]}
    return {"loadbalancer": body}
