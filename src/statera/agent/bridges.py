"""Bridges: one per network, with the gateway addresses of its subnets on the machine.

The machine is the gateway, so that VIPs can be reached from it.  Only our own bridges are touched,
with settings of theirs alone: no rule, no route and no sysctl of the machine.  Blocking; needs
CAP_NET_ADMIN.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from pyroute2 import IPRoute

from statera.agent.addresses import converge_addresses
from statera.agent.kernel import alias_of, find, write_sysctl
from statera.agent.names import Names
from statera.agent.ranges import Network, occupied, overlapping
from statera.lb.errors import Final, Retryable
from statera.spec.document import Address, NetworkSpec

_SYSCTLS = {
    "net/ipv4/conf/{name}/accept_redirects": "0",
    "net/ipv4/conf/{name}/rp_filter": "0",
    "net/ipv6/conf/{name}/disable_ipv6": "0",
    "net/ipv6/conf/{name}/accept_ra": "0",
    "net/ipv6/conf/{name}/accept_dad": "0",
}


def converge_bridge(names: Names, spec: NetworkSpec) -> bool:
    """Make the bridge of a network what `spec` wishes; return whether it is a new one.

    Raises `Retryable` when a subnet overlaps a range that the machine itself uses, or another
    network's that it still carries (a database that is not ours may send one): it may go away.
    """
    name = names.bridge(spec.network_id)
    with IPRoute() as ip:
        _refuse_overlaps(spec, occupied(ip, lambda link: link == name))
        new = find(ip, name) is None
        index = _ensure(ip, names, name, spec)
        converge_addresses(ip, index, _gateways(spec))
    return new


def remove_bridge(names: Names, network_id: str) -> None:
    """Remove the bridge of a network if it is there."""
    with IPRoute() as ip:
        link = find(ip, names.bridge(network_id))
        if link is not None and alias_of(link) in {network_id, ""}:
            ip.link("del", index=link["index"])


def _ensure(ip: IPRoute, names: Names, name: str, spec: NetworkSpec) -> int:
    link = find(ip, name)
    if link is None:
        ip.link("add", ifname=name, kind="bridge", address=names.bridge_mac(spec.network_id))
        link = find(ip, name)
        if link is None:
            raise Retryable(f"The bridge {name} vanished while it was made.")
    index = int(link["index"])
    if alias_of(link) not in {spec.network_id, ""}:
        raise Final(f"The bridge {name} belongs to the network {alias_of(link)}.")
    if not alias_of(link):
        # Snooping without a querier loses neighbour discovery.
        ip.link("set", index=index, kind="bridge", br_mcast_snooping=0)
        for path, value in _SYSCTLS.items():
            write_sysctl(path.format(name=name), value)
        ip.link("set", index=index, ifalias=spec.network_id)
    if link.get("mtu") != spec.mtu:
        ip.link("set", index=index, mtu=spec.mtu)
    if link["state"] != "up":
        ip.link("set", index=index, state="up")
    return index


def _gateways(spec: NetworkSpec) -> list[Address]:
    return [
        Address(ip=subnet.gateway, prefix=ipaddress.ip_network(subnet.cidr).prefixlen)
        for subnet in spec.subnets
        if subnet.gateway is not None
    ]


def _refuse_overlaps(spec: NetworkSpec, taken: Sequence[Network]) -> None:
    for subnet in spec.subnets:
        other = overlapping(ipaddress.ip_network(subnet.cidr), taken)
        if other is not None:
            raise Retryable(
                f"The subnet {subnet.cidr} overlaps {other}, which the machine uses already."
            )
