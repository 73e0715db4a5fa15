"""Overlaps of address ranges."""

from __future__ import annotations

import ipaddress

import pytest

from statera.agent.ranges import overlapping

TAKEN = [ipaddress.ip_network(text) for text in ("10.1.0.0/16", "192.0.2.1/32", "fd00::/64")]


@pytest.mark.parametrize(
    ("wished", "other"),
    [
        ("10.1.2.0/24", "10.1.0.0/16"),
        ("10.0.0.0/8", "10.1.0.0/16"),
        ("192.0.2.0/24", "192.0.2.1/32"),
        ("fd00::/48", "fd00::/64"),
        ("10.2.0.0/16", None),
        ("fd00:0:0:1::/64", None),
    ],
)
def test_any_common_address_is_an_overlap(wished: str, other: str | None) -> None:
    """Inside, around and equal count; the other family never does."""
    found = overlapping(ipaddress.ip_network(wished), TAKEN)
    assert (str(found) if found else None) == other
