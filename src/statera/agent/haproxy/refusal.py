"""What was refused: finding the object, and the document without it.

The rule for what takes the place of a refused object: its last good form if there is one, else
nothing, and never anything that lets more traffic pass than was wished:

    listener        last good form, but only if the wish keeps its port and does not narrow who may
                    come in; else the listener is not bound
    pool            last good form of its own attributes; else its listeners answer 503
    member          last good form, drained or as a backup if the wish says so; else no traffic
    loadbalancer    its last good VIPs; else nothing is bound
    healthmonitor   last good form; else the members are taken for healthy, because a monitor
                    protects from bad answers and grants nobody anything, while dropping the
                    members would turn a typing error into an outage

Pure: text in, documents in and out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from statera.render.writer import Owner, network
from statera.spec.document import AmphoraSpec, Listener, Member, Monitor, Pool

_ALERT = re.compile(r"\[ALERT\]\s+\(\d+\) : (.*)")
_PLACE = re.compile(r"\[[^\[\]]*:(\d+)\]:?")
_PREFIX = re.compile(r"^[\s:.]+|(config|parsing|Parsing|Binding)(?=\s|$)")
_WORDS = 300
_NO_VIP = "Cannot assign requested address"

T = TypeVar("T", Listener, Pool, Member)

replace = msgspec.structs.replace


def alerts(messages: str) -> list[str]:
    """Return the alerts in what HAProxy said at a failed start."""
    return _ALERT.findall(messages)


def blame(messages: str, owners: tuple[Owner, ...]) -> dict[Owner, str]:
    """Return the objects that HAProxy's alerts name, with its words; {} if it names none.

    A VIP that the machine lacks is no listener's fault: it is waited for.
    """
    found: dict[Owner, str] = {}
    for alert in alerts(messages):
        place = _PLACE.search(alert)
        if place is None or not 0 < int(place[1]) <= len(owners) or _NO_VIP in alert:
            continue
        found.setdefault(owners[int(place[1]) - 1], words(alert))
    return {owner: text for owner, text in found.items() if owner.object_type != "loadbalancer"}


def words(alert: str) -> str:
    """Return an alert without the path of our file."""
    text = _PLACE.sub("", alert)
    while (shorter := _PREFIX.sub("", text).strip()) != text:
        text = shorter
    return text[:_WORDS] or "refused"


def without(
    spec: AmphoraSpec, culprit: Owner, accepted: AmphoraSpec | None, *, last: bool
) -> AmphoraSpec:
    """Return `spec` with the last good form of `culprit`, or without it.

    `last`: its last good form was tried already, or must not be.
    """
    good = None if last else accepted
    if culprit.object_type == "loadbalancer":
        return _with_vips(spec, good)
    if culprit.object_type == "listener":
        old = {one.id: one for one in good.listeners} if good else {}
        return replace(
            spec,
            listeners=_swap(spec.listeners, culprit.object_id, lambda one: _listener(one, old)),
        )
    pools = {pool.id: pool for pool in good.pools} if good else {}
    if culprit.object_type == "pool":
        kept = _swap(spec.pools, culprit.object_id, lambda one: _pool(one, pools))
        return replace(spec, pools=kept)
    if culprit.object_type == "member":
        return replace(
            spec,
            pools=tuple(_with_member(pool, culprit.object_id, pools) for pool in spec.pools),
        )
    if culprit.object_type == "healthmonitor":
        return replace(
            spec,
            pools=tuple(_with_monitor(pool, culprit.object_id, pools) for pool in spec.pools),
        )
    return spec


def _with_vips(spec: AmphoraSpec, good: AmphoraSpec | None) -> AmphoraSpec:
    if good is None or good.vips == spec.vips:
        return replace(spec, listeners=())
    return replace(spec, vips=good.vips)


def _swap(items: tuple[T, ...], object_id: str, form: Callable[[T], T | None]) -> tuple[T, ...]:
    """Return `items`, the one called `object_id` in another form or not at all."""
    formed = (form(item) if item.id == object_id else item for item in items)
    return tuple(item for item in formed if item is not None)


def _listener(wish: Listener, old: dict[str, Listener]) -> Listener | None:
    good = old.get(wish.id)
    if good is None or good == wish or good.port != wish.port:
        # Another listener may have the old port by now, and HAProxy would share it out.
        return None
    if not narrower(good.allowed_cidrs, wish.allowed_cidrs):
        return None
    limits = [limit for limit in (good.connection_limit, wish.connection_limit) if limit >= 0]
    return replace(
        good,
        enabled=wish.enabled,
        default_pool_id=wish.default_pool_id,
        connection_limit=min(limits, default=-1),
    )


def narrower(cidrs: tuple[str, ...], wished: tuple[str, ...]) -> bool:
    """Say whether everybody whom `cidrs` let in is also let in by `wished` (empty: everybody)."""
    if not wished:
        return True
    if not cidrs or any(network(cidr) is None for cidr in (*cidrs, *wished)):
        return False
    return all(any(_inside(inner, outer) for outer in wished) for inner in cidrs)


def _inside(inner: str, outer: str) -> bool:
    one, other = ipaddress.ip_network(inner, False), ipaddress.ip_network(outer, False)
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and one.subnet_of(other)


def _pool(wish: Pool, old: dict[str, Pool]) -> Pool | None:
    good = old.get(wish.id)
    if good is None or not good.enabled:
        return None
    form = replace(
        wish, protocol=good.protocol, algorithm=good.algorithm, persistence=good.persistence
    )
    return None if form == wish else form


def _with_member(pool: Pool, member_id: str, old: dict[str, Pool]) -> Pool:
    good = {member.id: member for member in old[pool.id].members} if pool.id in old else {}

    def form(wish: Member) -> Member | None:
        kept = good.get(wish.id)
        if kept is None:
            return None
        kept = replace(
            kept,
            enabled=wish.enabled and kept.enabled,
            weight=kept.weight if wish.weight else 0,
            backup=wish.backup,
        )
        return None if kept == wish else kept

    return replace(pool, members=_swap(pool.members, member_id, form))


def _with_monitor(pool: Pool, monitor_id: str, old: dict[str, Pool]) -> Pool:
    if pool.monitor is None or pool.monitor.id != monitor_id:
        return pool
    good: Monitor | None = old[pool.id].monitor if pool.id in old else None
    if good is not None and (good.id != monitor_id or good == pool.monitor):
        good = None
    return replace(pool, monitor=good)
