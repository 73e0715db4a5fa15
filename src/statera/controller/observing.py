"""Looks at the world around one load balancer.

The network service is asked about every port and network that the document needs, before any
transaction; what the database knows comes in one.
"""

from __future__ import annotations

import uuid

from statera.edges.network.protocol import Networks, Port
from statera.lb.errors import Retryable
from statera.plan.desired import Desired
from statera.plan.observation import Observation, Plug, Range, Segment
from statera.store.desired import Stored


def observe(stored: Stored, networks: Networks, *, reports: bool) -> Observation:
    """Return the world around a load balancer.  Raise `lb.errors.Retryable`.

    One that is being deleted needs no look at the network.
    """
    fresh = str(uuid.uuid4())
    if stored.desired.load_balancer.live is None:
        return Observation(fresh, amphorae=stored.amphorae, reports=reports)
    homes = _homes(stored, networks)
    return Observation(
        fresh,
        amphorae=stored.amphorae,
        plugs=_plugs(stored, networks),
        segments=_segments(stored.desired, homes, networks),
        homes=homes,
        reports=reports,
    )


def _homes(stored: Stored, networks: Networks) -> dict[str, str]:
    balancer = stored.desired.load_balancer
    here = {balancer.vip_subnet_id, *(each.subnet_id for each in balancer.additional_vips)}
    wanted = {m.subnet_id for m in stored.desired.members if m.live}
    wanted.update(subnet for each in stored.amphorae for subnet in each.ports)
    found = [networks.subnet(subnet_id) for subnet_id in sorted(filter(None, wanted - here))]
    return {subnet.id: subnet.network_id for subnet in found if subnet is not None}


def _plugs(stored: Stored, networks: Networks) -> dict[str, Plug]:
    noted = {port for each in stored.amphorae for port in (each.port_id, *each.ports.values())}
    noted.add(stored.desired.load_balancer.vip_port_id)
    found = [networks.port(port_id) for port_id in sorted(filter(None, noted))]
    return {port.id: _plug(port) for port in found if port is not None}


def _plug(port: Port) -> Plug:
    addresses = tuple((each.subnet_id, each.ip_address) for each in port.fixed_ips)
    return Plug(port.id, port.network_id, port.mac_address, addresses)


def _segments(desired: Desired, homes: dict[str, str], networks: Networks) -> dict[str, Segment]:
    wanted = {desired.load_balancer.vip_network_id, *homes.values()} - {None}
    segments: dict[str, Segment] = {}
    for network_id in sorted(filter(None, wanted)):
        network = networks.network(network_id)
        if network is None:
            raise Retryable(f"network {network_id} is gone")
        ranges = tuple(
            Range(each.id, each.cidr, each.gateway_ip, each.host_routes) for each in network.subnets
        )
        segments[network_id] = Segment(network_id, network.mtu, ranges)
    return segments
