"""What stands in the document of an amphora."""

from __future__ import annotations

from dataclasses import replace as changed

import msgspec

from statera.lb.load_balancer import AdditionalVip
from statera.plan import document
from statera.plan.desired import Desired
from statera.plan.observation import Amphora, Observation, Plug, Range, Segment
from statera.spec.document import AmphoraSpec
from tests.unit.plan.rows import (
    NETWORK,
    SUBNET,
    listener,
    load_balancer,
    member,
    monitor,
    pool,
)

SIX = "subnet-six"
SEGMENT = Segment(
    NETWORK,
    1500,
    (
        Range(SUBNET, "10.1.0.0/24", "10.1.0.1", (("10.5.0.0/16", "10.1.0.2"),)),
        Range(SIX, "fd00:1::/64", "fd00:1::1"),
    ),
)


def build(desired: Desired, *addresses: tuple[str, str]) -> AmphoraSpec:
    """Return the document of an amphora with these addresses on the VIP network."""
    plug = Plug("port", NETWORK, "02:00:00:00:00:01", addresses or ((SUBNET, "10.1.0.20"),))
    amphora = Amphora("a", "STANDALONE", "ALLOCATED", machine_id="m", port_id="port")
    world = Observation("fresh", (amphora,), {"port": plug}, {NETWORK: SEGMENT})
    return document.build(desired, amphora, world)


def test_additional_vips_of_both_families() -> None:
    """Each subnet gives an own address; each family one default route; all VIPs are listed."""
    more = AdditionalVip(subnet_id=SIX, ip_address="fd00:1::10")
    desired = Desired(load_balancer(additional_vips=[more]))
    assert document.vip_subnets(desired) == (SUBNET, SIX)
    spec = build(desired, (SUBNET, "10.1.0.20"), (SIX, "fd00:1::20"))
    assert spec.vips == ("10.1.0.10", "fd00:1::10")
    (link,) = spec.interfaces
    assert [f"{each.ip}/{each.prefix}" for each in link.addresses] == [
        "10.1.0.20/24",
        "fd00:1::20/64",
        "10.1.0.10/32",
        "fd00:1::10/128",
    ]
    assert [(each.destination, each.via) for each in link.routes] == [
        ("0.0.0.0/0", "10.1.0.1"),
        ("10.5.0.0/16", "10.1.0.2"),
        ("::/0", "fd00:1::1"),
    ]


def test_only_the_living_are_in_it() -> None:
    """Doomed objects are left out, a doomed default pool too; disabled ones are marked."""
    dead = pool(live=None)
    kept = pool(admin_state_up=False)
    desired = Desired(
        load_balancer(admin_state_up=False),
        listeners=(
            listener(default_pool_id=dead.id, admin_state_up=False),
            listener(live=None, protocol_port=81),
        ),
        pools=(dead, kept),
        members=(
            member(kept.id, admin_state_up=False, weight=0, backup=True),
            member(kept.id, live=None, address="10.1.0.9"),
        ),
        monitors=(monitor(kept.id, live=None), monitor(kept.id, admin_state_up=False)),
    )
    spec = build(desired)
    assert not spec.enabled
    assert [(each.default_pool_id, each.enabled) for each in spec.listeners] == [(None, False)]
    (only,) = spec.pools
    assert not only.enabled
    assert [(m.enabled, m.weight, m.backup) for m in only.members] == [(False, 0, True)]
    assert only.monitor is not None
    assert not only.monitor.enabled
    assert (only.monitor.rise, only.monitor.fall) == (2, 3)


def test_persistence_is_carried() -> None:
    """As it is stored with the pool; none when it is cleared."""
    wanted = {"type": "APP_COOKIE", "cookie_name": "id", "persistence_timeout": None}
    (with_it,) = build(Desired(load_balancer(), pools=(pool(session_persistence=wanted),))).pools
    assert with_it.persistence is not None
    assert (with_it.persistence.type, with_it.persistence.cookie_name) == ("APP_COOKIE", "id")
    (without,) = build(Desired(load_balancer(), pools=(pool(session_persistence=None),))).pools
    assert without.persistence is None


def test_restrictions_are_carried() -> None:
    """Who may connect, how many, how long, and with which headers."""
    door = listener(
        allowed_cidrs=["10.0.0.0/8"],
        connection_limit=7,
        timeout_client_data=9,
        insert_headers={"X-Forwarded-For": "true"},
    )
    (carried,) = build(Desired(load_balancer(), listeners=(door,))).listeners
    assert carried.allowed_cidrs == ("10.0.0.0/8",)
    assert (carried.connection_limit, carried.timeout_client_data) == (7, 9)
    assert carried.insert_headers == {"X-Forwarded-For": "true"}


def test_numbers_make_no_difference() -> None:
    """Two documents are the same if they ask the same; anything else counts."""
    desired = Desired(load_balancer())
    spec = build(desired)
    numbered = msgspec.structs.replace(spec, epoch=3, revision=4, generation=5)
    assert document.same(spec, numbered)
    assert not document.same(spec, msgspec.structs.replace(spec, enabled=False))


def test_the_cookie_key_is_the_load_balancers() -> None:
    """The same for each of its amphorae and at each time, another for another load balancer."""
    one = load_balancer()
    again = changed(Desired(one), pools=(pool(),))
    assert build(Desired(one)).cookie_key == build(again).cookie_key
    assert build(Desired(one)).cookie_key != build(Desired(load_balancer())).cookie_key
