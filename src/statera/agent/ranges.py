"""Which address ranges the machine itself uses: no embedded network may overlap them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from statera.lb.errors import Retryable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOCAL_TABLE = 255
_UNICAST = 1
_ON_EVERY_LINK = (ipaddress.ip_network("fe80::/10"), ipaddress.ip_network("ff00::/8"))


def machine_ranges(is_ours: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the ranges (CIDRs) of the machine's addresses and routes that are not on our links.

    Raises `Retryable` if the kernel does not say.
    """
    try:
        with IPRoute() as ip:
            return tuple(str(network) for network in occupied(ip, is_ours))
    except NetlinkError as error:
        raise Retryable(f"The machine does not tell its addresses: {error}") from error


def occupied(ip: IPRoute, is_ours: Callable[[str], bool]) -> list[Network]:
    """Return the ranges of all addresses and routes but those on links that `is_ours` names.

    The default route is no range, and link-local addresses are on every link.
    """
    ours = {index for index, name in socket.if_nameindex() if is_ours(name)}
    found = {
        _network(message.get("local") or message.get("address"), message["prefixlen"])
        for message in ip.get_addr()
        if message["index"] not in ours
    }
    for message in ip.get_routes():
        start, table = message.get("dst"), message.get("table", message["table"])
        elsewhere = table != _LOCAL_TABLE and message["type"] == _UNICAST
        if elsewhere and start is not None and message["dst_len"] and _link(message) not in ours:
            found.add(_network(start, message["dst_len"]))
    return sorted(
        (each for each in found if overlapping(each, _ON_EVERY_LINK) is None),
        key=lambda each: (each.version, each.network_address.packed, each.prefixlen),
    )


def overlapping(network: Network, taken: Iterable[Network]) -> Network | None:
    """Return the first of `taken` that has an address in common with `network`."""
    for other in taken:
        if other.version == network.version and other.overlaps(network):
            return other
    return None


def _network(address: str, prefix: int) -> Network:
    return ipaddress.ip_network(f"{address}/{prefix}", strict=False)


def _link(message: object) -> int | None:
    link: int | None = message.get("oif")  # type: ignore[attr-defined]
    return link
