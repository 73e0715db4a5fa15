"""Rules of the member (`spec/api-resources` §4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from statera.lb import rules
from statera.lb.deployment import Deployment
from statera.lb.errors import Conflict, InvalidInput

Values = Mapping[str, Any]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Key = tuple[str, int]
"""(address, protocol_port): what identifies a member within its pool."""


def key_of(values: Values) -> Key:
    """Return what identifies the member within its pool."""
    return values["address"], values["protocol_port"]


def creation(values: Values, deployment: Deployment) -> None:
    """Refuse a new member at a reserved address or with a port that no flavor allows."""
    address = ipaddress.ip_address(values["address"])
    if any(_reached(address) == _reached(ipaddress.ip_address(r)) for r in deployment.reserved_ips):
        raise rules.invalid_option(address.exploded.upper(), "member address")
    if values["request_sriov"]:
        raise InvalidInput("The load balancer flavor does not allow SR-IOV member ports.")


def _reached(address: Address) -> Address:
    """Return where a connection to an address ends: `::ffff:192.0.2.1` is the IPv4 address."""
    return getattr(address, "ipv4_mapped", None) or address


def duplicate(key: Key) -> Conflict:
    """Return the error for a second member with the same address and port."""
    return Conflict(
        f"Another member on this pool is already using ip {key[0]} on protocol_port {key[1]}"
    )


def keys_unique(wanted: Iterable[Values], existing: Mapping[Key, Any]) -> None:
    """Refuse a batch that names one member twice."""
    seen: set[Key] = set()
    for values in wanted:
        key = key_of(values)
        if key in seen and key in existing:
            raise InvalidInput.rule("Member must be updated only once in the same request.")
        if key in seen:
            raise duplicate(key)
        seen.add(key)
