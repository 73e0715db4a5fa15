"""Arithmetic on address ranges: pure rules about subnets, pools and what a port may have.

Addresses are numbers inside this module; `ordinal` is the form in which SQL compares them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from statera.cloud.network import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Cidr = ipaddress.IPv4Network | ipaddress.IPv6Network

BATCH = 256
"""How many addresses in use are looked at in one query."""

_LONGEST_PREFIX = {4: 30, 6: 126}
"""Longer ones have no room for a gateway and a port."""

_RESERVED: tuple[tuple[Cidr, str], ...] = tuple(
    (ipaddress.ip_network(text), why)
    for text, why in (
        ("0.0.0.0/8", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/8", "loopback, unspecified or IPv4-mapped"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)


class Pool(NamedTuple):
    """Addresses that may be allocated, from `first` to `last`, both included."""

    first: int
    last: int


def ordinal(number: int) -> str:
    """Return the form in which SQL compares addresses."""
    return f"{number:032x}"


def number(text: str) -> int:
    """Return the number of an address in its canonical or another valid form."""
    return int(ipaddress.ip_address(text))


def text_of(value: int, version: int) -> str:
    """Return the canonical text of an address."""
    return str(ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value))


def bounds(cidr: Cidr) -> tuple[int, int]:
    """Return the first and the last number of a range."""
    return int(cidr.network_address), int(cidr.broadcast_address)


def usable(cidr: Cidr) -> Pool:
    """Return the addresses that hosts may have (IPv4: not the broadcast address)."""
    first, last = bounds(cidr)
    return Pool(first + 1, last - 1 if cidr.version == 4 else last)


def check_cidr(cidr: Cidr) -> None:
    """Raise if no network of ours can have this range."""
    if cidr.prefixlen > _LONGEST_PREFIX[cidr.version]:
        raise errors.InvalidInput(
            f"Invalid input for operation: subnet {cidr} is too small, the longest prefix is "
            f"/{_LONGEST_PREFIX[cidr.version]}."
        )
    for reserved, why in _RESERVED:
        if cidr.version == reserved.version and cidr.overlaps(reserved):
            raise errors.InvalidInput(
                f"Invalid input for operation: subnet {cidr} overlaps {reserved}, which is {why}."
            )


def check_inside(cidr: Cidr, allowed: Sequence[Cidr]) -> None:
    """Raise unless one of the allowed ranges contains the range."""
    first, last = bounds(cidr)
    for outer in allowed:
        low, high = bounds(outer)
        if outer.version == cidr.version and low <= first and last <= high:
            return
    raise errors.InvalidInput(
        f"Invalid input for operation: subnet {cidr} is not in {', '.join(map(str, allowed))}: "
        "only an administrator makes such a subnet."
    )


def check_occupied(cidr: Cidr, occupied: Iterable[str]) -> None:
    """Raise if a machine itself uses part of the range.

    `occupied` is what the machines said; default routes and unreadable entries count for nothing.
    """
    for text in occupied:
        try:
            used = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        if used.prefixlen and used.version == cidr.version and used.overlaps(cidr):
            raise errors.OverlappingSubnet(
                f"Subnet {cidr} overlaps {used}, which a machine of this installation uses itself."
            )


def default_gateway(cidr: Cidr) -> str:
    """Return the first address that a host may have."""
    return text_of(usable(cidr).first, cidr.version)


def check_gateway(cidr: Cidr, gateway: str) -> None:
    """Raise if the address cannot be the machine's own in that range."""
    address = ipaddress.ip_address(gateway)
    pool = usable(cidr)
    if address.version != cidr.version or not pool.first <= int(address) <= pool.last:
        raise errors.InvalidInput(
            f"Invalid input for operation: gateway {gateway} is no host address of subnet {cidr}."
        )


def default_pools(cidr: Cidr, gateway: str | None) -> list[Pool]:
    """Return everything that hosts may have, except for the gateway."""
    whole = usable(cidr)
    if gateway is None:
        return [whole]
    hole = number(gateway)
    halves = [Pool(whole.first, hole - 1), Pool(hole + 1, whole.last)]
    return [pool for pool in halves if pool.first <= pool.last]


def pools(cidr: Cidr, gateway: str | None, given: Sequence[tuple[str, str]]) -> list[Pool]:
    """Return the pools given as (first, last) texts, ascending; raise if they are wrong."""
    found = sorted(_pool(cidr, first, last) for first, last in given)
    for before, after in itertools.pairwise(found):
        if after.first <= before.last:
            raise errors.OverlappingAllocationPools(
                f"Found overlapping allocation pools: {_words(before, cidr)} {_words(after, cidr)} "
                f"for subnet {cidr}."
            )
    check_gateway_outside(cidr, gateway, found)
    return found


def _pool(cidr: Cidr, first: str, last: str) -> Pool:
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    whole = usable(cidr)
    if {low.version, high.version} != {cidr.version} or int(low) > int(high):
        raise errors.InvalidAllocationPool(f"The allocation pool {first}-{last} is not valid.")
    if int(low) < whole.first or int(high) > whole.last:
        raise errors.OutOfBoundsAllocationPool(
            f"The allocation pool {first}-{last} spans beyond the subnet cidr {cidr}."
        )
    return Pool(int(low), int(high))


def check_gateway_outside(cidr: Cidr, gateway: str | None, found: Iterable[Pool]) -> None:
    """Raise if the gateway is in one of the pools."""
    for pool in found:
        if gateway is not None and pool.first <= number(gateway) <= pool.last:
            raise errors.GatewayConflictWithAllocationPools(
                f"Gateway ip {gateway} conflicts with allocation pool {_words(pool, cidr)}."
            )


def _words(pool: Pool, cidr: Cidr) -> str:
    return f"{text_of(pool.first, cidr.version)}-{text_of(pool.last, cidr.version)}"


def check_host(cidr: Cidr, gateway: str | None, wanted: str) -> None:
    """Raise if no port can have the address in that subnet."""
    address = ipaddress.ip_address(wanted)
    whole = usable(cidr)
    inside = address.version == cidr.version and whole.first <= int(address) <= whole.last
    if not inside or (gateway is not None and int(address) == number(gateway)):
        raise errors.InvalidIpForSubnet(
            f"IP address {wanted} is not a valid IP for the specified subnet."
        )


def first_free(
    free_ranges: Sequence[Pool], after: int | None, used: Callable[[int, int], Sequence[int]]
) -> int | None:
    """Return the first free number behind `after`, starting again at the front, or None.

    `used(low, high)` returns up to `BATCH` numbers in use between the two (included), ascending.
    """
    for pool in _from(free_ranges, after):
        low = pool.first
        while low <= pool.last:
            taken = used(low, pool.last)
            for value in taken:
                if value > low:
                    return low
                low = value + 1
            if len(taken) < BATCH and low <= pool.last:
                return low
    return None


def _from(free_ranges: Sequence[Pool], after: int | None) -> Iterator[Pool]:
    """Yield the parts of the ranges behind `after`, then those up to it."""
    if after is None:
        yield from free_ranges
        return
    for pool in free_ranges:
        if pool.last > after:
            yield Pool(max(pool.first, after + 1), pool.last)
    for pool in free_ranges:
        if pool.first <= after:
            yield Pool(pool.first, min(pool.last, after))


def mac_of(port_id: str) -> str:
    """Return the MAC address of a port: locally administered, 40 bits of a digest of its id."""
    digest = hashlib.sha256(port_id.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
