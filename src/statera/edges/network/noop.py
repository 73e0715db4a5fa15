"""The network service that pretends: every id exists, every address is free.

For API-only installations and scale tests.  Nothing is remembered: every answer is a function
of the ids asked for, so several processes agree without sharing anything.
"""

from __future__ import annotations

import hashlib
import ipaddress
import uuid

from statera.edges.network.protocol import FixedIp, Network, Port, PortRequest, Subnet
from statera.lb.caller import Caller

CIDR = "10.0.0.0/8"
GATEWAY = "10.0.0.1"
FREE = 2**24 - 3
MTU = 1500

_NAMESPACE = uuid.UUID("4f1f7f2e-6a0b-4f0e-9a43-5a1c7a9e2d10")
_NETWORK_TO_SUBNET = 0x5B
_PORT_TO_NETWORK = 0xA6


class NoopNetworks:
    """Implements `edges.network.protocol.Networks`.

    A network and its one subnet differ in a few bits of their ids, so each leads back to the other;
    likewise a port to its network.
    """

    def network(self, network_id: str, caller: Caller | None = None) -> Network | None:  # noqa: ARG002
        """Return the network of that id; there always is one."""
        return Network(network_id, MTU, (_subnet(_partner(network_id, _NETWORK_TO_SUBNET)),))

    def subnet(self, subnet_id: str, caller: Caller | None = None) -> Subnet | None:  # noqa: ARG002
        """Return the subnet of that id; there always is one."""
        return _subnet(subnet_id)

    def port(self, port_id: str, caller: Caller | None = None) -> Port | None:  # noqa: ARG002
        """Return the port of that id, unbound; there always is one."""
        return _port(port_id, "")

    def ensure_port(self, request: PortRequest) -> Port:
        """Return the port of that name and device, with the addresses asked for."""
        port_id = str(uuid.uuid5(_NAMESPACE, f"{request.device_id}/{request.name}"))
        wanted = request.fixed_ips or ((_partner(request.network_id, _NETWORK_TO_SUBNET), None),)
        return Port(
            id=port_id,
            network_id=request.network_id,
            mac_address=_mac(port_id),
            fixed_ips=tuple(
                FixedIp(subnet_id, address or _address(f"{port_id}/{position}"))
                for position, (subnet_id, address) in enumerate(wanted)
            ),
            device_id=request.device_id,
            owned=True,
        )

    def claim_port(self, port_id: str, device_id: str, device_owner: str) -> Port:  # noqa: ARG002
        """Return the port as if it were bound to the device."""
        return _port(port_id, device_id)

    def release_port(self, port_id: str, device_id: str) -> None:
        """Do nothing: nothing was made."""

    def release_device(self, device_id: str) -> None:
        """Do nothing: nothing was made."""


def _partner(object_id: str, bits: int) -> str:
    """Return the id that belongs to another id; twice the same gives the first (of UUIDs)."""
    try:
        return str(uuid.UUID(int=uuid.UUID(object_id).int ^ bits))
    except ValueError:
        return str(uuid.uuid5(_NAMESPACE, f"{object_id}/{bits}"))


def _subnet(subnet_id: str) -> Subnet:
    network_id = _partner(subnet_id, _NETWORK_TO_SUBNET)
    return Subnet(subnet_id, network_id, CIDR, gateway_ip=GATEWAY, free=FREE)


def _port(port_id: str, device_id: str) -> Port:
    network_id = _partner(port_id, _PORT_TO_NETWORK)
    subnet_id = _partner(network_id, _NETWORK_TO_SUBNET)
    address = FixedIp(subnet_id, _address(f"{port_id}/0"))
    return Port(port_id, network_id, _mac(port_id), (address,), device_id)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _address(text: str) -> str:
    """Return an address of 10.0.0.0/8 that is neither the network's, the gateway's nor the last."""
    first = int(ipaddress.IPv4Address(GATEWAY)) + 1
    return str(ipaddress.IPv4Address(first + _digest(text) % FREE))


def _mac(port_id: str) -> str:
    return ":".join(f"{byte:02x}" for byte in (0x02, *_digest(port_id).to_bytes(8, "big")[:5]))
