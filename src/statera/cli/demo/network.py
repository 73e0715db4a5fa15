"""The demo's network, subnet and ports, made through the Network API and used again next time."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statera.agent.names import Names
from statera.cli.console import Stop
from statera.cli.demo.rest import Refused, Rest, wait_for
from statera.cli.demo.spaces import Plug

NAME = "demo-net"
_RANGES = ("10.99.7.0/24", "172.30.97.0/24", "192.168.197.0/24", "10.213.45.0/24")
"""Tried in turn: the machine may use one of them itself, and then the API refuses it."""
_BASE = "/network/v2.0"


@dataclass(frozen=True, slots=True)
class DemoNetwork:
    """The network as the API shows it."""

    network_id: str
    subnet_id: str
    cidr: str
    gateway: str | None
    mtu: int

    @property
    def vip(self) -> str:
        """The address of the demo's load balancer, far from what backends are given."""
        network = ipaddress.ip_network(self.cidr)
        return str(network[200])


def ensure_network(rest: Rest) -> DemoNetwork:
    """Return the demo's network and subnet, made if they are not there."""
    found = rest.get(f"{_BASE}/networks?name={NAME}")["networks"]
    if found:
        network = found[0]
    else:
        network = rest.call("POST", f"{_BASE}/networks", {"network": {"name": NAME}})["network"]
    subnets = rest.get(f"{_BASE}/subnets?network_id={network['id']}")["subnets"]
    subnet = subnets[0] if subnets else _make_subnet(rest, network["id"])
    return DemoNetwork(
        network_id=network["id"],
        subnet_id=subnet["id"],
        cidr=subnet["cidr"],
        gateway=subnet["gateway_ip"],
        mtu=int(network.get("mtu") or 1500),
    )


def _make_subnet(rest: Rest, network_id: str) -> dict[str, Any]:
    refusal = ""
    for cidr in _RANGES:
        wanted = {
            "name": "demo-subnet",
            "network_id": network_id,
            "ip_version": 4,
            "cidr": cidr,
            "allocation_pools": [
                {
                    "start": str(ipaddress.ip_network(cidr)[10]),
                    "end": str(ipaddress.ip_network(cidr)[250]),
                }
            ],
        }
        try:
            made: dict[str, Any] = rest.call("POST", f"{_BASE}/subnets", {"subnet": wanted})
        except Refused as error:
            if error.status not in (400, 409):
                raise
            refusal = str(error)
            continue
        found: dict[str, Any] = made["subnet"]
        return found
    raise Stop(f"no address range for the demo is free: {refusal}")


def ensure_port(rest: Rest, network: DemoNetwork, name: str, installation: str) -> Plug:
    """Reserve an address for a backend; say how to plug it in.

    A port of the last demo serves again: with a new one the address would have another MAC, and
    neighbours believe the old one for seconds.
    """
    found = rest.get(f"{_BASE}/ports?name={name}&network_id={network.network_id}")["ports"]
    port = found[0] if found else _make_port(rest, network, name)
    return Plug(
        bridge=Names(installation).bridge(network.network_id),
        mac=port["mac_address"],
        address=port["fixed_ips"][0]["ip_address"],
        prefix=ipaddress.ip_network(network.cidr).prefixlen,
        gateway=network.gateway,
        mtu=network.mtu,
    )


def _make_port(rest: Rest, network: DemoNetwork, name: str) -> dict[str, Any]:
    wanted = {
        "name": name,
        "network_id": network.network_id,
        "device_owner": "compute:demo",
        "device_id": name,
        "fixed_ips": [{"subnet_id": network.subnet_id}],
    }
    made: dict[str, Any] = rest.call("POST", f"{_BASE}/ports", {"port": wanted})["port"]
    return made


def wait_for_bridge(network: DemoNetwork, installation: str) -> None:
    """Wait until the agent made the network's bridge and answers on the gateway's address."""
    name = Names(installation).bridge(network.network_id)
    path = Path("/sys/class/net") / name
    wait_for(f"the bridge {name}", path.exists, 15.0)
