"""What takes the place of a refused object."""

from __future__ import annotations

import msgspec
import pytest

from statera.agent.haproxy.refusal import blame, narrower, without, words
from statera.render.writer import Owner
from statera.spec.document import AmphoraSpec, Listener, Member, Monitor, Persistence, Pool

replace = msgspec.structs.replace

_OLD_LISTENER = Listener(
    id="L", protocol="HTTP", port=80, default_pool_id="P", connection_limit=50,
    allowed_cidrs=("10.0.0.0/8",),
)  # fmt: skip
_OLD_MONITOR = Monitor(id="H", type="TCP", delay=1, timeout=1, rise=1, fall=1)
_OLD_MEMBER = Member(id="M", address="10.1.0.1", port=80)
_OLD_POOL = Pool(
    id="P", protocol="HTTP", algorithm="ROUND_ROBIN", monitor=_OLD_MONITOR, members=(_OLD_MEMBER,)
)


def _spec(listener: Listener = _OLD_LISTENER, pool: Pool = _OLD_POOL) -> AmphoraSpec:
    return AmphoraSpec(
        amphora_id="amphora",
        load_balancer_id="lb",
        project_id="project",
        epoch=1,
        revision=1,
        generation=1,
        listeners=(listener,),
        pools=(pool,),
    )


@pytest.mark.parametrize(
    ("wish", "kept"),
    [
        ({"timeout_client_data": 1}, _OLD_LISTENER),
        ({"connection_limit": 10}, replace(_OLD_LISTENER, connection_limit=10)),
        ({"connection_limit": 0}, replace(_OLD_LISTENER, connection_limit=0)),
        ({"connection_limit": -1}, _OLD_LISTENER),
        ({"default_pool_id": None}, replace(_OLD_LISTENER, default_pool_id=None)),
        ({"enabled": False}, replace(_OLD_LISTENER, enabled=False)),
        ({"allowed_cidrs": ()}, _OLD_LISTENER),
        ({"allowed_cidrs": ("0.0.0.0/0",)}, _OLD_LISTENER),
        ({"allowed_cidrs": ("10.0.0.0/16",)}, None),
        ({"allowed_cidrs": ("192.0.2.0/24",)}, None),
        ({"allowed_cidrs": ("nonsense",)}, None),
        ({"port": 81}, None),
    ],
)
def test_listener(wish: dict[str, object], kept: Listener | None) -> None:
    """The last good form comes back only where it lets in nobody whom the wish keeps out."""
    refused = _spec(replace(_OLD_LISTENER, **({"timeout_client_data": 1} | wish)))
    found = without(refused, Owner("listener", "L"), _spec(), last=False)
    assert found.listeners == ((kept,) if kept else ())
    assert without(refused, Owner("listener", "L"), _spec(), last=True).listeners == ()
    assert without(refused, Owner("listener", "L"), None, last=False).listeners == ()


def test_pool_keeps_new_members() -> None:
    """A refused pool gets its old attributes back; members and monitor are objects of their own."""
    member = Member(id="N", address="10.1.0.2", port=80)
    wish = replace(_OLD_POOL, persistence=Persistence(type="APP_COOKIE"), members=(member,))
    found = without(_spec(pool=wish), Owner("pool", "P"), _spec(), last=False)
    assert found.pools == (replace(_OLD_POOL, members=(member,)),)
    assert without(found, Owner("pool", "P"), _spec(), last=True).pools == ()


@pytest.mark.parametrize(
    ("wish", "kept"),
    [
        ({"weight": 999}, {}),
        ({"weight": 0}, {"weight": 0}),
        ({"backup": True}, {"backup": True}),
        ({"enabled": False}, {"enabled": False}),
    ],
)
def test_member_gets_no_more_than_wished(wish: dict[str, object], kept: dict[str, object]) -> None:
    """The last good form of a member is drained, disabled or a backup if the wish says so."""
    bad = replace(_OLD_MEMBER, **({"monitor_address": "x"} | wish))
    refused = _spec(pool=replace(_OLD_POOL, members=(bad,)))
    found = without(refused, Owner("member", "M"), _spec(), last=False)
    assert found.pools[0].members == (replace(_OLD_MEMBER, **kept),)


def test_member_and_monitor() -> None:
    """A refused member or monitor gets its last good form, and is left out without one."""
    wish = replace(
        _OLD_POOL,
        monitor=replace(_OLD_MONITOR, delay=9),
        members=(replace(_OLD_MEMBER, weight=999), Member(id="N", address="x", port=1)),
    )
    found = _spec(pool=wish)
    for owner in (Owner("member", "M"), Owner("member", "N"), Owner("healthmonitor", "H")):
        found = without(found, owner, _spec(), last=False)
    assert found.pools == (_OLD_POOL,)
    for owner in (Owner("member", "M"), Owner("healthmonitor", "H")):
        found = without(found, owner, _spec(), last=True)
    assert found.pools == (replace(_OLD_POOL, monitor=None, members=()),)


def test_load_balancer() -> None:
    """Refused VIPs: the last good ones with everything else as wished, or nothing is bound."""
    good, wish = replace(_spec(), vips=("10.0.0.5",)), replace(_spec(), vips=("10.0.0.5", "x"))
    root = Owner("loadbalancer", "lb")
    assert without(wish, root, good, last=False) == good
    for found in (
        without(wish, root, good, last=True),
        without(wish, root, None, last=False),
        without(wish, root, wish, last=False),
    ):
        assert found == replace(wish, listeners=())


def test_unknown_culprit_changes_nothing() -> None:
    """Somebody who is not in the document cannot be taken out: the caller sees no progress."""
    spec = _spec()
    for owner in (Owner("amphora", "lb"), Owner("member", "?"), Owner("listener", "?")):
        assert without(spec, owner, None, last=True) == spec


@pytest.mark.parametrize(
    ("cidrs", "wished", "expected"),
    [
        ((), (), True),
        ((), ("10.0.0.0/8",), False),
        (("10.0.0.0/8",), (), True),
        (("10.1.0.0/16", "2001:db8::/64"), ("10.0.0.0/8", "2001:db8::/32"), True),
        (("10.1.0.0/16", "2001:db8::/64"), ("10.0.0.0/8",), False),
        (("0.0.0.0/0",), ("::/0",), False),
    ],
)
def test_narrower(cidrs: tuple[str, ...], wished: tuple[str, ...], expected: bool) -> None:
    """Sets of addresses are compared by whom they let in; empty lets in everybody."""
    assert narrower(cidrs, wished) is expected


_MESSAGES = """\
[NOTICE]   (7) : haproxy version is 2.6.12
[WARNING]  (7) : config : parsing [/x/haproxy.cfg.new:1] : harmless
[ALERT]    (7) : config : [/x/haproxy.cfg.new:2] : 'server p/m' : weight is wrong..
[ALERT]    (7) : config : parsing [/x/haproxy.cfg.new:3] : timer overflow
[ALERT]    (7) : Binding [/x/haproxy.cfg.new:4] for frontend L: cannot bind socket
[ALERT]    (7) : Binding [/x/haproxy.cfg.new:1] for frontend L: Cannot assign requested address
[ALERT]    (7) : config : Error(s) found in configuration file : /x/haproxy.cfg.new
"""


def test_blame() -> None:
    """Alerts with a line name the line's object, in words without our path; warnings name none."""
    owners = tuple(Owner("member", str(number)) for number in range(4))
    assert blame(_MESSAGES, owners) == {
        owners[1]: "'server p/m' : weight is wrong..",
        owners[2]: "timer overflow",
        owners[3]: "for frontend L: cannot bind socket",
    }
    root = Owner("loadbalancer", "lb")
    assert blame(_MESSAGES, (root,) * 4) == {}
    assert words("config : parsing [/x:1] : ") == "refused"
