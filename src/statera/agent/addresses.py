"""Addresses and routes of a link, brought to what is wished by the difference to what is there.

What is right already is not touched: taking an address away and giving it back would cut the
connections on it.  Blocking; needs CAP_NET_ADMIN.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyroute2 import IPRoute

from statera.spec.document import Address, Route

_NODAD = 0x02
_PERMANENT_LINK_SCOPE = 253
_MAIN_TABLE = 254
_STATIC = 4


class Way(NamedTuple):
    """One route of the main table: `destination` a CIDR in canonical form, `link` an index."""

    destination: str
    via: str
    link: int


def converge_addresses(ip: IPRoute, index: int, wished: Sequence[Address]) -> list[Address]:
    """Give the link exactly the wished addresses; return those that were added.

    The first wished one of a subnet is to be the source of connections opened there: for IPv4 the
    kernel takes the oldest, for IPv6 the newest.  Its own link-local address stays.
    """
    there = set(present_addresses(ip, index))
    for address in there - {_canonical(each) for each in wished}:
        ip.addr("del", index=index, address=address.ip, prefixlen=address.prefix)
    missing = [address for address in wished if _canonical(address) not in there]
    for address in [each for each in missing if ":" not in each.ip]:
        _add(ip, index, address)
    for address in [each for each in reversed(missing) if ":" in each.ip]:
        _add(ip, index, address)
    return missing


def present_addresses(ip: IPRoute, index: int) -> list[Address]:
    """Return the addresses of a link without those that the kernel gave it by itself."""
    found = []
    for message in ip.get_addr(index=index):
        text = message.get("local") or message.get("address")
        if message["family"] == socket.AF_INET6 and message["scope"] == _PERMANENT_LINK_SCOPE:
            continue
        found.append(_canonical(Address(ip=text, prefix=message["prefixlen"])))
    return found


def converge_routes(ip: IPRoute, wished: Iterable[tuple[int, Route]]) -> None:
    """Make the static routes of this namespace exactly the wished ones (link index, route)."""
    ways = {
        Way(str(ipaddress.ip_network(route.destination)), _plain(route.via), index)
        for index, route in wished
    }
    there = _present_ways(ip)
    for way in there - ways:
        ip.route("del", **_as_netlink(way))
    for way in ways - there:
        ip.route("add", **_as_netlink(way))


def _present_ways(ip: IPRoute) -> set[Way]:
    ways = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in ip.get_routes(family=family, table=_MAIN_TABLE):
            if message["proto"] != _STATIC:
                continue
            everything = "0.0.0.0" if family == socket.AF_INET else "::"  # noqa: S104
            start = message.get("dst") or everything
            via, link = message.get("gateway"), message.get("oif")
            if via is not None and link is not None:
                ways.add(Way(f"{start}/{message['dst_len']}", via, link))
    return ways


def _as_netlink(way: Way) -> dict[str, object]:
    return {
        "dst": way.destination,
        "gateway": way.via,
        "oif": way.link,
        "proto": _STATIC,
        "table": _MAIN_TABLE,
        "family": socket.AF_INET6 if ":" in way.via else socket.AF_INET,
    }


def _add(ip: IPRoute, index: int, address: Address) -> None:
    network = ipaddress.ip_interface(f"{address.ip}/{address.prefix}").network
    if isinstance(network, ipaddress.IPv4Network):
        ip.addr(
            "add",
            index=index,
            address=address.ip,
            prefixlen=address.prefix,
            broadcast=str(network.broadcast_address),
        )
    else:
        # Duplicate detection would keep the address unusable for a second; who has which address
        # is decided by the documents.
        ip.addr(
            "add",
            index=index,
            address=_plain(address.ip),
            prefixlen=address.prefix,
            flags=_NODAD,
        )


def _canonical(address: Address) -> Address:
    return Address(ip=_plain(address.ip), prefix=address.prefix)


def _plain(text: str) -> str:
    return str(ipaddress.ip_address(text))
