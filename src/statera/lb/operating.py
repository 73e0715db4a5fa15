"""Operating statuses as one pure function of the objects and of a report (`api-behaviour` §1.5).

It says only what changes.  What is younger than the report keeps its status: the report does not
know it yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from statera.lb.declare import Resource
from statera.lb.listener import Listener
from statera.lb.load_balancer import LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.lb.statuses import DEGRADED, DRAINING, ERROR, NO_MONITOR, OFFLINE, ONLINE

T = TypeVar("T", bound=Resource)

OPEN, FULL = "OPEN", "FULL"
UP, DOWN, DRAIN, MAINT, NO_CHECK = "UP", "DOWN", "DRAIN", "MAINT", "NO_CHECK"
RESTARTING = "RESTARTING"

_LISTENERS = {OPEN: ONLINE, FULL: DEGRADED}
_POOLS = {UP: ONLINE, DOWN: ERROR}
_MEMBERS = {UP: ONLINE, DOWN: ERROR, DRAIN: DRAINING, MAINT: OFFLINE, NO_CHECK: NO_MONITOR}
_DRAINED = {ONLINE, NO_MONITOR}


@dataclass(frozen=True, slots=True)
class Health:
    """What is reported: statuses by object id; `generation` is the wish in force there."""

    generation: int
    listeners: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watched:
    """The objects whose statuses are reported; doomed ones count for nothing."""

    load_balancer: LoadBalancer
    listeners: Sequence[Listener]
    pools: Sequence[Pool]
    members: Sequence[Member]


def changes(watched: Watched, health: Health) -> dict[str, str]:
    """Return object id -> operating status of everything whose status is another now."""
    listeners = {each.id: _listener(each, watched, health) for each in watched.listeners}
    members = {each.id: _member(each, health) for each in watched.members}
    pools = {each.id: _pool(each, watched, health, members) for each in watched.pools}
    balancer = {watched.load_balancer.id: _load_balancer(watched, listeners, pools, members)}
    before = {watched.load_balancer.id: watched.load_balancer.operating_status}
    before.update((each.id, each.operating_status) for each in watched.listeners)
    before.update((each.id, each.operating_status) for each in watched.pools)
    before.update((each.id, each.operating_status) for each in watched.members)
    after = {**listeners, **pools, **members, **balancer}
    return {key: status for key, status in after.items() if status != before[key]}


def _kept(row: Resource, health: Health) -> bool:
    return row.live is None or row.born > health.generation


def _listener(row: Listener, watched: Watched, health: Health) -> str:
    if _kept(row, health):
        return row.operating_status
    reported = _LISTENERS.get(health.listeners.get(row.id, ""))
    if not row.admin_state_up:
        return OFFLINE
    if reported:
        return reported
    balancer = watched.load_balancer
    expected = balancer.admin_state_up and balancer.settled >= balancer.generation
    return ERROR if expected else OFFLINE


def _member(row: Member, health: Health) -> str:
    reported = health.members.get(row.id)
    if _kept(row, health) or reported == RESTARTING:
        return row.operating_status
    if reported is None:
        return NO_MONITOR if row.operating_status == NO_MONITOR else OFFLINE
    status = _MEMBERS.get(reported, ERROR)
    return DRAINING if row.weight == 0 and status in _DRAINED else status


def _pool(row: Pool, watched: Watched, health: Health, members: Mapping[str, str]) -> str:
    if _kept(row, health):
        return row.operating_status
    status = _POOLS.get(health.pools.get(row.id, ""), OFFLINE)
    own = (each for each in _living(watched.members) if each.pool_id == row.id)
    failing = any(members[each.id] == ERROR for each in own)
    return DEGRADED if status == ONLINE and failing else status


def _load_balancer(
    watched: Watched,
    listeners: Mapping[str, str],
    pools: Mapping[str, str],
    members: Mapping[str, str],
) -> str:
    """Return the status of the whole; a pool without a working member makes it ERROR."""
    row = watched.load_balancer
    if row.live is None:
        return row.operating_status
    if any(pools[each.id] == ERROR for each in _living(watched.pools)):
        return ERROR
    limited = any(listeners[each.id] == DEGRADED for each in _living(watched.listeners))
    failing = any(members[each.id] == ERROR for each in _living(watched.members))
    if not row.admin_state_up:
        return OFFLINE
    return DEGRADED if limited or failing else ONLINE


def _living(rows: Iterable[T]) -> Iterable[T]:
    return (row for row in rows if row.live is not None)
