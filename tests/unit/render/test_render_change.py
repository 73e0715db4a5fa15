"""Which change disturbs how much."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from statera.render.change import (
    NOTHING,
    RELOAD,
    AddMember,
    Change,
    Kind,
    RefreshCookies,
    RemoveMember,
    SetEnabled,
    SetWeight,
    change,
)
from statera.spec.document import AmphoraSpec, Listener, Member, Monitor, Persistence, Pool

replace = msgspec.structs.replace
Edit = Callable[[AmphoraSpec], AmphoraSpec]

_M3 = Member(id="m3", address="2001:db8::3", port=8080, weight=3, monitor_address="10.9.9.9")
_MONITOR = Monitor(
    id="hm", type="HTTPS", delay=5, timeout=2, rise=2, fall=3, http_version=1.1, domain_name="a.b"
)


def _pool(**changes: object) -> Edit:
    return lambda spec: replace(spec, pools=(replace(spec.pools[0], **changes),))


def _listener(**changes: object) -> Edit:
    return lambda spec: replace(spec, listeners=(replace(spec.listeners[0], **changes),))


def _member(**changes: object) -> Edit:
    def edit(spec: AmphoraSpec) -> AmphoraSpec:
        first, *others = spec.pools[0].members
        return _pool(members=(replace(first, **changes), *others))(spec)

    return edit


def _without(*gone: str) -> Edit:
    def edit(spec: AmphoraSpec) -> AmphoraSpec:
        kept = tuple(one for one in spec.pools[0].members if one.id not in gone)
        return _pool(members=kept)(spec)

    return edit


def _runtime(*operations: object) -> Change:
    return Change(Kind.RUNTIME, operations)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda spec: spec, NOTHING),
        (lambda spec: replace(spec, generation=2, revision=9, priority=50), NOTHING),
        (lambda spec: replace(spec, pools=(*spec.pools, Pool(id="x", protocol="HTTP",
                                                             algorithm="ROUND_ROBIN"))), NOTHING),
        (lambda spec: replace(spec, listeners=(*spec.listeners, Listener(
            id="off", protocol="TCP", port=9, enabled=False))), NOTHING),
        (_member(weight=0), _runtime(SetWeight("pool.http", "m1", 0))),
        (_member(enabled=False), _runtime(SetEnabled("pool.http", "m1", False))),
        (_member(enabled=False, weight=9), _runtime(
            SetWeight("pool.http", "m1", 9), SetEnabled("pool.http", "m1", False))),
        (_without("m1"), _runtime(RemoveMember("pool.http", "m1"))),
        (_without("m1", "m2"), _runtime(
            RemoveMember("pool.http", "m1"), RemoveMember("pool.http", "m2"))),
        (_pool(members=(_M3,)), _runtime(
            AddMember("pool.http", "m3", "m3 [2001:db8::3]:8080 weight 3", False, True),
            RemoveMember("pool.http", "m1"), RemoveMember("pool.http", "m2"))),
        (_member(port=81), RELOAD),
        (_member(address="10.1.0.7"), RELOAD),
        (_member(backup=True), RELOAD),
        (_member(monitor_port=81), RELOAD),
        (_pool(algorithm="LEAST_CONNECTIONS"), RELOAD),
        (_pool(enabled=False), RELOAD),
        (_pool(monitor=_MONITOR), RELOAD),
        (_pool(persistence=Persistence(type="SOURCE_IP")), RELOAD),
        (_listener(port=81), RELOAD),
        (_listener(allowed_cidrs=("10.0.0.0/8",)), RELOAD),
        (_listener(timeout_member_data=1), RELOAD),
        (_listener(default_pool_id=None), RELOAD),
        (_listener(enabled=False), RELOAD),
        (lambda spec: replace(spec, enabled=False), RELOAD),
        (lambda spec: replace(spec, vips=("10.0.0.6",)), RELOAD),
        (lambda spec: replace(spec, cookie_key="other"), RELOAD),
    ],
)  # fmt: skip
def test_change(spec: AmphoraSpec, edit: Edit, expected: Change) -> None:
    """Members come, go and change weight at run time; everything else that shows is a reload."""
    assert change(spec, edit(spec)) == expected


def test_first_document_is_a_reload(spec: AmphoraSpec) -> None:
    """With nothing in force there is nothing to change at run time."""
    assert change(None, spec) == RELOAD


def test_added_member_carries_everything(spec: AmphoraSpec) -> None:
    """A dynamic server inherits nothing: its command holds check, PROXY, number and all."""
    base = _pool(
        protocol="PROXYV2",
        algorithm="SOURCE_IP",
        monitor=_MONITOR,
        persistence=Persistence(type="HTTP_COOKIE"),
    )(spec)
    found = change(base, _pool(members=(*base.pools[0].members, replace(_M3, enabled=False)))(base))
    assert found.kind is Kind.RUNTIME
    added, cookies = found.operations
    assert isinstance(added, AddMember)
    assert (added.checked, added.enabled) == (True, False)
    for words in (
        "m3 [2001:db8::3]:8080 weight 3 id ",
        " addr 10.9.9.9 ",
        " check inter 5s rise 2 fall 3 check-ssl verify none check-sni a.b",
        " send-proxy-v2",
    ):
        assert words in added.words
    assert isinstance(cookies, RefreshCookies)
    assert cookies.backend == "pool.http"


def test_numbers_do_not_depend_on_order(spec: AmphoraSpec) -> None:
    """With consistent hashing a member keeps its number whoever else comes or goes."""
    hashed = _pool(algorithm="SOURCE_IP")(spec)
    grown = change(hashed, _pool(members=(_M3, *hashed.pools[0].members))(hashed))
    alone = change(_pool(members=())(hashed), _pool(members=(_M3,))(hashed))
    assert grown.operations == alone.operations


def test_each_backend_of_a_pool_changes(spec: AmphoraSpec) -> None:
    """A pool behind listeners with different time-outs has two backends: both follow."""
    other = replace(spec.listeners[0], id="second", port=81, timeout_member_data=1)
    base = replace(spec, listeners=(*spec.listeners, other))
    found = change(base, _without("m1")(base))
    assert found == _runtime(
        RemoveMember("pool.http", "m1"), RemoveMember("pool.http.second", "m1")
    )
