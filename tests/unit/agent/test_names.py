"""Names on the machine: ours are recognised, others' never."""

from __future__ import annotations

import pytest

from statera.agent.names import Names
from statera.lb.errors import Final

ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"


def test_link_names_fit_into_the_kernel() -> None:
    """With the longest installation id a link name has at most 15 characters."""
    names = Names("abcd")
    assert names.bridge(ID) == "stabcdb0a1b2c3d"
    assert names.port(ID) == "stabcdv0a1b2c3d"
    assert len(names.bridge(ID)) == len(names.port(ID)) == 15


def test_own_names_are_recognised() -> None:
    """What an installation named it takes for its own, by kind."""
    names = Names("x1")
    assert names.is_bridge(names.bridge(ID))
    assert names.is_port(names.port(ID))
    assert names.is_namespace(names.namespace(ID))
    assert not names.is_bridge(names.port(ID))
    assert not names.is_port(names.bridge(ID))


@pytest.mark.parametrize("other", ["a", "abb", "abv", "b", "ac"])
def test_no_installation_takes_what_is_anothers(other: str) -> None:
    """Even where one short id begins another, the names are told apart."""
    mine, theirs = Names("ab"), Names(other)
    assert not mine.is_bridge(theirs.bridge(ID))
    assert not mine.is_port(theirs.port(ID))
    assert not mine.is_namespace(theirs.namespace(ID))


@pytest.mark.parametrize("name", ["eth0", "br0", "stabb0a1b2c3", "stabb0A1B2C3D", "stabb0a1b2c3d0"])
def test_foreign_links_are_not_ours(name: str) -> None:
    """A name of another form is nobody's of ours."""
    assert not Names("ab").is_bridge(name)
    assert not Names("ab").is_port(name)


@pytest.mark.parametrize("short", ["", "abcde", "Ab", "a-b", "a.b"])
def test_a_bad_short_id_is_refused(short: str) -> None:
    """A short id that would break the names is refused at once."""
    with pytest.raises(Final, match="short id"):
        Names(short)


def test_the_mac_of_a_bridge_is_fixed_local_and_unicast() -> None:
    """A bridge made anew has the MAC it had; it is locally administered and no group address."""
    mac = Names("ab").bridge_mac(ID)
    assert mac == Names("ab").bridge_mac(ID)
    assert mac != Names("ac").bridge_mac(ID)
    assert int(mac[:2], 16) & 0b11 == 0b10
