"""Where ports and addresses come from.

Calls are made before or after a transaction, never inside one.  Everything that is created is named
after an id that is already stored, so a crash between create and note finds it again: `ensure_port`
with the same `name` returns the same port.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from statera.lb.caller import Caller


@dataclass(frozen=True, slots=True)
class Subnet:
    """An address range; `free` is how many addresses can still be allocated."""

    id: str
    network_id: str
    cidr: str
    gateway_ip: str | None = None
    free: int = 0
    host_routes: tuple[tuple[str, str], ...] = ()
    """(destination CIDR, next hop)."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network with its subnets, in the order of their creation."""

    id: str
    mtu: int
    subnets: tuple[Subnet, ...] = ()


@dataclass(frozen=True, slots=True)
class FixedIp:
    """One address of a port."""

    subnet_id: str
    ip_address: str


@dataclass(frozen=True, slots=True)
class Port:
    """A port; `owned` says that the service created it and removes it."""

    id: str
    network_id: str
    mac_address: str
    fixed_ips: tuple[FixedIp, ...] = ()
    device_id: str = ""
    owned: bool = False
    qos_policy_id: str | None = None


@dataclass(frozen=True, slots=True)
class PortRequest:
    """What a port must be.  `fixed_ips`: (subnet id, address or None for any)."""

    name: str
    project_id: str
    network_id: str
    device_id: str
    device_owner: str
    fixed_ips: tuple[tuple[str, str | None], ...] = field(default=())


DEVICE_OWNER = "Octavia"
"""What owns every port of ours, as clients of the network service know it."""
VIP_DEVICE = "lb-"
"""How the device id of a VIP's port begins."""


def vip_device(load_balancer_id: str) -> str:
    """Return the device id that the VIP port of a load balancer is bound to."""
    return f"{VIP_DEVICE}{load_balancer_id}"


def vip_port(
    load_balancer_id: str,
    project_id: str,
    network_id: str,
    fixed_ips: tuple[tuple[str, str | None], ...],
) -> PortRequest:
    """Return the request for the VIP port of a load balancer: always the same port."""
    return PortRequest(
        name=f"octavia-lb-{load_balancer_id}",
        project_id=project_id,
        network_id=network_id,
        device_id=vip_device(load_balancer_id),
        device_owner=DEVICE_OWNER,
        fixed_ips=fixed_ips,
    )


class AddressInUse(Exception):
    """A wanted address is taken; the text names it."""


class Networks(Protocol):
    """The network service.  Look-ups take the caller so that foreign objects read as missing
    (None); `caller=None` is the service itself.  Any call may raise `lb.errors.Retryable`."""

    def network(self, network_id: str, caller: Caller | None = None) -> Network | None:
        """Return the network, or None if there is none that the caller can see."""
        ...

    def subnet(self, subnet_id: str, caller: Caller | None = None) -> Subnet | None:
        """Return the subnet, or None if there is none that the caller can see."""
        ...

    def port(self, port_id: str, caller: Caller | None = None) -> Port | None:
        """Return the port, or None if there is none that the caller can see."""
        ...

    def ensure_port(self, request: PortRequest) -> Port:
        """Create the port of that name and device, or return it if it exists.

        Raise `AddressInUse` for a taken address, `lb.errors.Retryable` when no address is free,
        `lb.errors.UserError` when network, subnet or address cannot be had at all.
        """
        ...

    def claim_port(self, port_id: str, device_id: str, device_owner: str) -> Port:
        """Bind a user's port to a device; repeatable.  Raise `lb.errors.Conflict` if another
        device has it, `lb.errors.NotFound` if it is gone."""
        ...

    def release_port(self, port_id: str, device_id: str) -> None:
        """Delete a port that the service created, unbind one that a user gave; repeatable, and
        nothing happens when the port is gone or another device has it."""
        ...

    def release_device(self, device_id: str) -> None:
        """Release every port of a device as `release_port` does; repeatable.

        It finds also the ports that a crash kept from being noted."""
        ...
