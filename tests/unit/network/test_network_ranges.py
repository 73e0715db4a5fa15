"""Arithmetic of subnets: pools, ranges and the search for a free address."""

from __future__ import annotations

import bisect
import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statera.cloud.network import errors, ranges
from statera.cloud.network.ranges import BATCH, Pool


def used_of(taken: set[int]) -> Callable[[int, int], list[int]]:
    """Return the look-up that `first_free` wants, over a set."""
    order = sorted(taken)

    def used(low: int, high: int) -> list[int]:
        start, end = bisect.bisect_left(order, low), bisect.bisect_right(order, high)
        return order[start:end][:BATCH]

    return used


@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 40)), max_size=5),
    st.sets(st.integers(0, 700)),
    st.one_of(st.none(), st.integers(-1, 700)),
)
def test_first_free_is_what_a_walk_finds(
    starts: list[tuple[int, int]], taken: set[int], after: int | None
) -> None:
    """The search finds the first free address behind the last one, round and round."""
    pools: list[Pool] = []
    for low, size in sorted(starts):
        if not pools or low > pools[-1].last:
            pools.append(Pool(low, low + size))
    every = [number for pool in pools for number in range(pool.first, pool.last + 1)]
    start = -1 if after is None else after
    walk = [n for n in every if n > start] + [n for n in every if n <= start]
    expected = next((number for number in walk if number not in taken), None)
    assert ranges.first_free(pools, after, used_of(taken)) == expected


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
def test_first_free_behind_a_long_row(count: int) -> None:
    """Rows of used addresses longer than a batch are walked to their end."""
    used = used_of(set(range(count)))
    assert ranges.first_free([Pool(0, 4 * BATCH)], None, used) == count
    assert ranges.first_free([Pool(0, count - 1)], None, used) is None


def test_a_large_range_needs_no_walk() -> None:
    """A /64 is searched without counting it out."""
    pool = ranges.default_pools(ipaddress.ip_network("fd00::/64"), None)[0]
    assert ranges.first_free([pool], pool.first + 10**12, used_of(set())) == pool.first + 10**12 + 1


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_ordinals_compare_as_numbers(one: int, other: int) -> None:
    """The text form keeps the order of addresses and has one length."""
    assert (ranges.ordinal(one) < ranges.ordinal(other)) == (one < other)
    assert len(ranges.ordinal(one)) == 32
    assert int(ranges.ordinal(one), 16) == one


@pytest.mark.parametrize(
    ("cidr", "gateway", "expected"),
    [
        ("10.0.0.0/30", "10.0.0.1", [("10.0.0.2", "10.0.0.2")]),
        ("10.0.0.0/30", "10.0.0.2", [("10.0.0.1", "10.0.0.1")]),
        ("10.0.0.0/30", None, [("10.0.0.1", "10.0.0.2")]),
        ("fd00::/126", "fd00::2", [("fd00::1", "fd00::1"), ("fd00::3", "fd00::3")]),
    ],
)
def test_default_pools(cidr: str, gateway: str | None, expected: list[tuple[str, str]]) -> None:
    """Everything that a host may have, but for the gateway."""
    network = ipaddress.ip_network(cidr)
    found = [
        (ranges.text_of(pool.first, network.version), ranges.text_of(pool.last, network.version))
        for pool in ranges.default_pools(network, gateway)
    ]
    assert found == expected


def test_given_pools_are_sorted_and_checked() -> None:
    """Pools come back in order; overlap, bounds, direction and the gateway are checked."""
    cidr = ipaddress.ip_network("10.0.0.0/24")
    found = ranges.pools(cidr, "10.0.0.1", [("10.0.0.9", "10.0.0.9"), ("10.0.0.5", "10.0.0.6")])
    assert [pool.last - pool.first for pool in found] == [1, 0]
    wrong: list[tuple[list[tuple[str, str]], type[Exception]]] = [
        ([("10.0.0.5", "10.0.0.9"), ("10.0.0.9", "10.0.0.9")], errors.OverlappingAllocationPools),
        ([("10.0.0.9", "10.0.0.5")], errors.InvalidAllocationPool),
        ([("10.0.0.9", "fd00::1")], errors.InvalidAllocationPool),
        ([("10.0.0.0", "10.0.0.5")], errors.OutOfBoundsAllocationPool),
        ([("10.0.0.9", "10.0.0.255")], errors.OutOfBoundsAllocationPool),
        ([("10.0.0.1", "10.0.0.5")], errors.GatewayConflictWithAllocationPools),
    ]
    for pools, expected in wrong:
        with pytest.raises(expected):
            ranges.pools(cidr, "10.0.0.1", pools)


def test_occupied_ranges() -> None:
    """What machines use is refused; default routes, other versions and nonsense are not heard."""
    cidr = ipaddress.ip_network("10.0.0.0/24")
    ranges.check_occupied(cidr, ["0.0.0.0/0", "::/0", "fd00::/64", "10.0.1.0/24", "x"])
    for used in ("10.0.0.7/32", "10.0.0.5/8", "10.0.0.0/24"):
        with pytest.raises(errors.OverlappingSubnet):
            ranges.check_occupied(cidr, [used])


def test_mac_addresses_are_local_unicast_and_fixed() -> None:
    """A port's MAC depends on its id alone."""
    assert ranges.mac_of("a") == ranges.mac_of("a") != ranges.mac_of("b")
    first = int(ranges.mac_of("a")[:2], 16)
    assert first & 3 == 2
