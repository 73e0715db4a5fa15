"""Builds the document of an amphora from the desired state.  Living objects only."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.plan.desired import Desired
from statera.plan.observation import Amphora, Observation, Range, Segment
from statera.spec import document as wire

PRIORITIES = {"STANDALONE": 100, "MASTER": 100, "BACKUP": 90}


def build(desired: Desired, amphora: Amphora, observation: Observation) -> wire.AmphoraSpec:
    """Return the document; epoch and revision are 0 until it is published.

    The amphora's ports and their networks must have been observed.
    """
    balancer = desired.load_balancer
    return wire.AmphoraSpec(
        amphora_id=amphora.id,
        load_balancer_id=balancer.id,
        project_id=balancer.project_id,
        epoch=0,
        revision=0,
        generation=balancer.generation,
        role=amphora.role,
        priority=PRIORITIES[amphora.role],
        enabled=balancer.admin_state_up,
        vips=tuple(address for _subnet, address in vips(desired)),
        interfaces=tuple(_interfaces(desired, amphora, observation)),
        listeners=_listeners(desired),
        pools=_pools(desired),
        cookie_key=hashlib.sha256(balancer.id.encode()).hexdigest()[:32],
    )


def same(one: wire.AmphoraSpec, other: wire.AmphoraSpec) -> bool:
    """Say whether two documents ask the same of an agent, whatever their numbers."""
    numbers = {"epoch": 0, "revision": 0, "generation": 0}
    return msgspec.structs.replace(one, **numbers) == msgspec.structs.replace(other, **numbers)


def vip_subnets(desired: Desired) -> tuple[str, ...]:
    """Return the subnets of the VIP and of the additional VIPs, each once."""
    return tuple(dict.fromkeys(subnet for subnet, _address in vips(desired) if subnet))


def member_subnets(desired: Desired, observation: Observation) -> tuple[str, ...]:
    """Return the subnets of living members on other networks than the VIP's, each once."""
    here = desired.load_balancer.vip_network_id
    wanted = dict.fromkeys(m.subnet_id for m in desired.members if m.live and m.subnet_id)
    return tuple(subnet for subnet in sorted(wanted) if observation.homes.get(subnet, here) != here)


def vips(desired: Desired) -> list[tuple[str | None, str]]:
    """Return (subnet, address) of the VIP and of the additional VIPs."""
    balancer = desired.load_balancer
    more = [(each.subnet_id, each.ip_address) for each in balancer.additional_vips]
    pairs = [(balancer.vip_subnet_id, balancer.vip_address), *more]
    return [(subnet, address) for subnet, address in pairs if address]


def _interfaces(
    desired: Desired, amphora: Amphora, observation: Observation
) -> Iterator[wire.Interface]:
    balancer = desired.load_balancer
    if amphora.port_id is not None and balancer.vip_network_id is not None:
        segment = observation.segments[balancer.vip_network_id]
        own = [wire.Address(ip=ip, prefix=_full(ip)) for _subnet, ip in vips(desired)]
        yield _interface(amphora.port_id, segment, observation, own)
    for subnet in member_subnets(desired, observation):
        segment = observation.segments[observation.homes[subnet]]
        yield _interface(amphora.ports[subnet], segment, observation, None)


def _interface(
    port_id: str, segment: Segment, observation: Observation, vips: list[wire.Address] | None
) -> wire.Interface:
    """Return one link; only the one with the VIPs has a default route."""
    plug = observation.plugs[port_id]
    ranges = {each.subnet_id: each for each in segment.ranges}
    own = [
        wire.Address(ip=ip, prefix=ipaddress.ip_network(ranges[subnet].cidr).prefixlen)
        for subnet, ip in plug.addresses
        if subnet in ranges
    ]
    used = [ranges[subnet] for subnet, _ip in plug.addresses if subnet in ranges]
    return wire.Interface(
        port_id=port_id,
        network_id=segment.network_id,
        mac=plug.mac,
        mtu=segment.mtu,
        addresses=(*own, *(vips or ())),
        routes=tuple(_routes(used, default=vips is not None)),
    )


def _routes(ranges: list[Range], *, default: bool) -> Iterator[wire.Route]:
    """Yield the routes of an interface: per destination the first one counts."""
    taken: set[str] = set()
    for each in ranges:
        anywhere = "::/0" if ":" in each.cidr else "0.0.0.0/0"
        gateway = ((anywhere, each.gateway_ip),) if default and each.gateway_ip else ()
        for destination, via in (*gateway, *each.host_routes):
            if destination not in taken:
                taken.add(destination)
                yield wire.Route(destination=destination, via=via)


def _full(address: str) -> int:
    return ipaddress.ip_address(address).max_prefixlen


def _listeners(desired: Desired) -> tuple[wire.Listener, ...]:
    pools = {pool.id for pool in desired.pools if pool.live}
    return tuple(_listener(each, pools) for each in desired.listeners if each.live)


def _listener(row: Listener, pools: set[str]) -> wire.Listener:
    return wire.Listener(
        id=row.id,
        protocol=row.protocol,
        port=row.protocol_port,
        default_pool_id=row.default_pool_id if row.default_pool_id in pools else None,
        enabled=row.admin_state_up,
        **msgspec.structs.asdict(row.traffic),
    )


def _pools(desired: Desired) -> tuple[wire.Pool, ...]:
    members: dict[str, list[wire.Member]] = {}
    for each in desired.members:
        if each.live:
            members.setdefault(each.pool_id, []).append(_member(each))
    monitors = {each.pool_id: _monitor(each) for each in desired.monitors if each.live}
    return tuple(
        _pool(each, monitors.get(each.id), members.get(each.id, ()))
        for each in desired.pools
        if each.live
    )


def _pool(row: Pool, monitor: wire.Monitor | None, members: Iterable[wire.Member]) -> wire.Pool:
    return wire.Pool(
        id=row.id,
        protocol=row.protocol,
        algorithm=row.lb_algorithm,
        enabled=row.admin_state_up,
        persistence=_persistence(row),
        monitor=monitor,
        members=tuple(members),
    )


def _persistence(row: Pool) -> wire.Persistence | None:
    wanted = row.session_persistence
    if not wanted or not wanted.get("type"):
        return None
    return wire.Persistence(
        type=wanted["type"],
        cookie_name=wanted.get("cookie_name"),
        timeout=wanted.get("persistence_timeout"),
        granularity=wanted.get("persistence_granularity"),
    )


def _monitor(row: HealthMonitor) -> wire.Monitor:
    return wire.Monitor(
        id=row.id,
        type=row.type,
        delay=row.delay,
        timeout=row.timeout,
        rise=row.max_retries,
        fall=row.max_retries_down,
        http_method=row.http_method,
        url_path=row.url_path,
        expected_codes=row.expected_codes,
        http_version=row.http_version,
        domain_name=row.domain_name,
        enabled=row.admin_state_up,
    )


def _member(row: Member) -> wire.Member:
    return wire.Member(
        id=row.id,
        address=row.address,
        port=row.protocol_port,
        weight=row.weight,
        backup=row.backup,
        enabled=row.admin_state_up,
        monitor_address=row.monitor_address,
        monitor_port=row.monitor_port,
    )
