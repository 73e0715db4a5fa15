"""Links of an amphora: a veth pair per port, one end in the network's bridge, one in the namespace.

Everything is brought about by difference: on an amphora that is right, nothing is touched, so an
agent that starts again flaps no link.  The MAC inside is the document's (fixed per port), so that
neighbours keep what they know when an amphora is made anew.  Blocking; needs CAP_NET_ADMIN.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Callable, Sequence
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from statera.agent.addresses import converge_addresses, converge_routes
from statera.agent.announce import Announcement
from statera.agent.kernel import alias_of, find, kind_of, write_sysctl
from statera.agent.names import Names
from statera.agent.namespace import Namespace
from statera.agent.processes import wait_until_gone
from statera.lb.errors import Final, Retryable
from statera.spec.document import AmphoraSpec, Interface, Route

PATIENCE = 5.0
"""Seconds until links that should go with their namespace are taken away one by one."""

_SYSCTLS = {
    # Ports below 1024 need no capability inside.
    "net/ipv4/ip_unprivileged_port_start": "0",
    # Taking the first address of a subnet away must not take the others with it.
    "net/ipv4/conf/all/promote_secondaries": "1",
    "net/ipv4/conf/default/promote_secondaries": "1",
    # A VIP is answered for on its own link only.
    "net/ipv4/conf/all/arp_ignore": "1",
    "net/ipv4/conf/all/arp_announce": "2",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    # Addresses and routes come from the document alone, and are usable at once.
    "net/ipv6/conf/all/accept_ra": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
}


def prepare(space: Namespace, amphora_id: str) -> None:
    """Make the namespace and its own settings; nothing happens where they are right.

    Raises `Final` if the name is taken by another amphora.
    """
    space.create()
    space.call(lambda: _prepare_inside(space.name, amphora_id))


def owner(space: Namespace) -> str:
    """Return the id of the amphora a namespace was prepared for, empty if it never was."""
    return space.call(_owner_inside)


def plug(names: Names, space: Namespace, spec: AmphoraSpec) -> list[Announcement]:
    """Give the amphora exactly the interfaces of `spec`; return what neighbours should be told.

    Raises `Retryable` while a network of it is not on this machine.
    """
    present = space.call(_inside).keys()
    with IPRoute() as ip:
        for interface in spec.interfaces:
            name = names.port(interface.port_id)
            inside = interface.port_id in present or name in present
            _ensure_outside(ip, names, space, interface, inside=inside)
    return space.call(lambda: _converge_inside(names, spec))


def ports(names: Names, space: Namespace) -> set[str]:
    """Return the names of the machine's ends of the amphora's links."""
    return {key if names.is_port(key) else names.port(key) for key in space.call(_inside)}


def remove_links(left: Callable[[], list[int]], patience: float) -> None:
    """Wait `patience` seconds until no link is `left` (their indexes), then remove what still is.

    The kernel takes links with their namespaces, many at a time, which is faster; but somebody may
    hold a namespace that has no name any more, and then the links would answer for ever.
    """
    with contextlib.suppress(Retryable):
        wait_until_gone("links", left, patience)
        return
    with IPRoute() as ip:
        for index in left():
            with contextlib.suppress(NetlinkError):  # it went by itself
                ip.link("del", index=index)
    wait_until_gone("links", left, PATIENCE)


def ports_of(names: Names, spec: AmphoraSpec) -> frozenset[str]:
    """Return the names that the machine's ends of the links of `spec` have."""
    return frozenset(names.port(interface.port_id) for interface in spec.interfaces)


def _prepare_inside(name: str, amphora_id: str) -> None:
    with IPRoute() as ip:
        loopback = find(ip, "lo")
        if loopback is None:
            raise Retryable(f"The network namespace {name} has no loopback.")
        holder = alias_of(loopback)
        if holder not in {amphora_id, ""}:
            raise Final(f"The network namespace {name} belongs to the amphora {holder}.")
        if holder and loopback["state"] == "up":
            return
        for path, value in _SYSCTLS.items():
            write_sysctl(path, value)
        ip.link("set", index=loopback["index"], state="up")
        # Last: from now on the settings are known to be right.
        ip.link("set", index=loopback["index"], ifalias=amphora_id)


def _owner_inside() -> str:
    with IPRoute() as ip:
        loopback = find(ip, "lo")
        return alias_of(loopback) if loopback is not None else ""


def _inside() -> dict[str, Any]:
    """Return this namespace's links by port id; a link just made goes by its first name."""
    with IPRoute() as ip:
        return _by_port(ip)


def _by_port(ip: IPRoute) -> dict[str, Any]:
    links = [link for link in ip.get_links() if kind_of(link) == "veth"]
    return {alias_of(link) or str(link.get("ifname")): link for link in links}


def _ensure_outside(
    ip: IPRoute, names: Names, space: Namespace, interface: Interface, *, inside: bool
) -> None:
    """Make the machine's end right, and the pair if its other end is not in the namespace."""
    bridge = find(ip, names.bridge(interface.network_id))
    if bridge is None:
        raise Retryable(f"The network {interface.network_id} is not on this machine yet.")
    name = names.port(interface.port_id)
    end = find(ip, name)
    if end is not None and alias_of(end) not in {interface.port_id, ""}:
        raise Final(f"The link {name} belongs to the port {alias_of(end)}.")
    if end is not None and not inside:  # its other end is in a namespace that is just ending
        ip.link("del", index=end["index"])
        end = None
    if end is None:
        _make_pair(ip, space, interface, name)
        end = find(ip, name)
    if end is None:
        raise Retryable(f"The link {name} vanished while it was made.")
    wished = {"master": bridge["index"], "mtu": interface.mtu, "ifalias": interface.port_id}
    _set(ip, end, wished)


def _make_pair(ip: IPRoute, space: Namespace, interface: Interface, name: str) -> None:
    descriptor = space.descriptor()
    try:
        # The inside end keeps the unique first name until it is known which interface it becomes.
        peer = {"ifname": name, "address": interface.mac, "net_ns_fd": descriptor}
        ip.link("add", ifname=name, kind="veth", peer=peer)
    finally:
        os.close(descriptor)


def _set(ip: IPRoute, link: Any, wished: dict[str, object]) -> bool:
    """Bring a link up with the wished attributes; return whether it was not so already."""
    wrong = {key: value for key, value in wished.items() if link.get(key) != value}
    if link["state"] != "up":
        wrong["state"] = "up"
    if wrong:
        ip.link("set", index=link["index"], **wrong)
    return bool(wrong)


def _converge_inside(names: Names, spec: AmphoraSpec) -> list[Announcement]:
    announcements = []
    routes: list[tuple[int, Route]] = []
    with IPRoute() as ip:
        links = _by_port(ip)
        wished = {each.port_id for each in spec.interfaces}
        wished |= {names.port(port_id) for port_id in wished}
        for key in links.keys() - wished:
            ip.link("del", index=links.pop(key)["index"])
        taken = {str(link.get("ifname")) for link in links.values()}
        for interface in spec.interfaces:
            first = names.port(interface.port_id)
            link = links.get(interface.port_id) or links.get(first)
            if link is None:
                raise Retryable(f"The link of port {interface.port_id} is gone.")
            name = str(link.get("ifname"))
            if name == first:
                name = _free_name(interface, spec.vips, taken)
                taken.add(name)
            announcements += _converge_link(ip, interface, link, name)
            routes += [(int(link["index"]), route) for route in interface.routes]
        converge_routes(ip, routes)
    return announcements


def _converge_link(ip: IPRoute, interface: Interface, link: Any, name: str) -> list[Announcement]:
    wished = {
        "ifname": name,
        "address": interface.mac.lower(),
        "mtu": interface.mtu,
        "ifalias": interface.port_id,
    }
    changed = _set(ip, link, wished)
    added = converge_addresses(ip, int(link["index"]), interface.addresses)
    news = interface.addresses if changed else tuple(added)
    if not news:
        return []
    addresses = tuple(ipaddress.ip_address(each.ip) for each in news)
    return [Announcement(link=name, mac=interface.mac.lower(), addresses=addresses)]


def _free_name(interface: Interface, vips: Sequence[str], taken: set[str]) -> str:
    """Return the name of a new inside end: `eth0` on the VIP's network, else `net<n>`."""
    own = {ipaddress.ip_address(address.ip) for address in interface.addresses}
    if "eth0" not in taken and own & {ipaddress.ip_address(vip) for vip in vips}:
        return "eth0"
    number = 0
    while f"net{number}" in taken:
        number += 1
    return f"net{number}"
