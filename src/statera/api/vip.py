"""Where a VIP comes from: port, network, subnet and address (`spec/api-resources` §1.2).

Only looks at the network service, as the caller, outside any transaction; nothing is made here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statera.api.settings import ApiSettings
from statera.edges.network.protocol import Network, Networks, Port, Subnet
from statera.lb.caller import Caller
from statera.lb.errors import InvalidInput

SOURCES = ("vip_port_id", "vip_network_id", "vip_subnet_id")
FREE_NEEDED = {"SINGLE": 2, "ACTIVE_STANDBY": 3}
"""Addresses that a topology takes of the VIP's subnet."""


@dataclass(frozen=True, slots=True)
class Vip:
    """A VIP as wished; `port_id` is the user's, `address` None for any.

    `additional` holds (subnet id, address or None).
    """

    network_id: str
    subnet_id: str
    address: str | None
    port_id: str | None = None
    qos_policy_id: str | None = None
    additional: Sequence[tuple[str, str | None]] = ()


class Resolver:
    """Finds out what the VIP of a creation is to be."""

    def __init__(self, networks: Networks, settings: ApiSettings, looker: Caller | None) -> None:
        self._networks = networks
        self._settings = settings
        self._looker = looker

    def resolve(self, values: Mapping[str, Any]) -> Vip:
        """Return the VIP that the values of a load balancer ask for; raise `InvalidInput`."""
        self._refuse_forbidden(values)
        vip = self._primary(values)
        self._refuse_network(vip.network_id)
        return self._with_additional(vip, values["additional_vips"])

    def _refuse_forbidden(self, values: Mapping[str, Any]) -> None:
        allowed = [name for name in SOURCES if getattr(self._settings, f"allow_{name}")]
        for name in SOURCES:
            if values[name] is not None and name not in allowed:
                raise InvalidInput.rule(
                    f"use of {name} is disallowed by this deployment's configuration."
                )
        if all(values[name] is None for name in SOURCES):
            raise InvalidInput.rule(f"VIP must contain one of: {', '.join(allowed)}.")

    def _primary(self, values: Mapping[str, Any]) -> Vip:
        if values["vip_port_id"] is not None:
            return self._of_port(values)
        if values["vip_network_id"] is not None:
            return self._of_network(values)
        subnet = self._subnet(values["vip_subnet_id"])
        return self._in_subnet(subnet, values["vip_address"])

    def _of_port(self, values: Mapping[str, Any]) -> Vip:
        port = self._networks.port(values["vip_port_id"], self._looker)
        if port is None:
            raise InvalidInput(f"Port {values['vip_port_id']} not found.")
        if port.device_id:
            raise InvalidInput.rule(f"Port {port.id} is already used by device {port.device_id} ")
        subnet_id, address = self._place_on(port, values)
        return Vip(port.network_id, subnet_id, address, port.id, port.qos_policy_id)

    def _place_on(self, port: Port, values: Mapping[str, Any]) -> tuple[str, str]:
        if values["vip_subnet_id"] is not None:
            subnet = self._subnet(values["vip_subnet_id"])
            return subnet.id, _address_on(port, subnet.id)
        if values["vip_address"] is not None:
            wanted = ipaddress.ip_address(values["vip_address"])
            for fixed in port.fixed_ips:
                if ipaddress.ip_address(fixed.ip_address) == wanted:
                    return fixed.subnet_id, values["vip_address"]
            raise InvalidInput.rule("Specified VIP address not found on the specified VIP port.")
        if len(port.fixed_ips) != 1:
            raise InvalidInput.rule(
                "VIP port's subnet could not be determined. Please specify either a VIP subnet or "
                "address."
            )
        return port.fixed_ips[0].subnet_id, port.fixed_ips[0].ip_address

    def _of_network(self, values: Mapping[str, Any]) -> Vip:
        network = self._networks.network(values["vip_network_id"], self._looker)
        if network is None:
            raise InvalidInput(f"Network {values['vip_network_id']} not found.")
        if values["vip_subnet_id"] is not None:
            subnet = self._networks.subnet(values["vip_subnet_id"], self._looker)
            if subnet is None or subnet.network_id != network.id:
                raise InvalidInput(f"Subnet {values['vip_subnet_id']} not found.")
            return self._in_subnet(subnet, values["vip_address"])
        address = values["vip_address"]
        if address is None:
            return Vip(network.id, self._roomy(network).id, None)
        for subnet in network.subnets:
            if _contains(subnet, address):
                return Vip(network.id, subnet.id, address)
        raise InvalidInput.rule(
            "Supplied network does not contain a subnet for VIP address specified."
        )

    def _roomy(self, network: Network) -> Subnet:
        if not network.subnets:
            raise InvalidInput.rule("Supplied network does not contain a subnet.")
        needed = FREE_NEEDED[self._settings.loadbalancer_topology]
        roomy = [subnet for subnet in network.subnets if subnet.free >= needed]
        if not roomy:
            raise InvalidInput.rule(
                "Subnet(s) in the supplied network do not contain enough available IPs."
            )
        fourth = [subnet for subnet in roomy if ":" not in subnet.cidr]
        return (fourth or roomy)[0]

    def _in_subnet(self, subnet: Subnet, address: str | None) -> Vip:
        _refuse_outside(subnet, "vip_address", address)
        return Vip(subnet.network_id, subnet.id, address)

    def _subnet(self, subnet_id: str) -> Subnet:
        subnet = self._networks.subnet(subnet_id, self._looker)
        if subnet is None:
            raise InvalidInput(f"Subnet {subnet_id} not found.")
        return subnet

    def _refuse_network(self, network_id: str) -> None:
        valid = {network.lower() for network in self._settings.valid_vip_networks}
        denied = {network.lower() for network in self._settings.denylist_vip_networks}
        if network_id.lower() in denied or (valid and network_id.lower() not in valid):
            raise InvalidInput.rule(
                "Supplied VIP network_id is not allowed by the configuration of this deployment."
            )

    def _with_additional(self, vip: Vip, wanted: Sequence[Mapping[str, Any]]) -> Vip:
        if not wanted:
            return vip
        ids = [vip.subnet_id, *(one["subnet_id"] for one in wanted)]
        if len(set(ids)) < len(ids):
            raise InvalidInput.rule(
                "Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."
            )
        port = None if vip.port_id is None else self._networks.port(vip.port_id, self._looker)
        additional = []
        for one in wanted:
            subnet = self._networks.subnet(one["subnet_id"], self._looker)
            if subnet is None:
                raise InvalidInput(f"Subnet {one['subnet_id']} not found")
            if subnet.network_id != vip.network_id:
                raise InvalidInput.rule("All VIP subnets must belong to the same network.")
            _refuse_outside(subnet, "ip_address", one["ip_address"])
            address = one["ip_address"] if port is None else _address_on(port, subnet.id)
            additional.append((subnet.id, address))
        return Vip(
            vip.network_id, vip.subnet_id, vip.address, vip.port_id, vip.qos_policy_id, additional
        )


def _address_on(port: Port, subnet_id: str) -> str:
    for fixed in port.fixed_ips:
        if fixed.subnet_id == subnet_id:
            return fixed.ip_address
    raise missing_on_port()


def missing_on_port() -> InvalidInput:
    """Return the error for a port that does not hold the VIP."""
    return InvalidInput.rule(
        "No VIP address found on the specified VIP port within the specified subnet."
    )


def _contains(subnet: Subnet, address: str) -> bool:
    network = ipaddress.ip_network(subnet.cidr, strict=False)
    return ipaddress.ip_address(address) in network


def _refuse_outside(subnet: Subnet, name: str, address: str | None) -> None:
    if address is not None and not _contains(subnet, address):
        raise InvalidInput.attribute(name, address, f"Value should be in the subnet {subnet.cidr}")
