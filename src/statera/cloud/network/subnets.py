"""The resource `subnet`.

One machine routes every subnet of the installation through its own bridges, so no two may overlap,
whoever they belong to, nor may one overlap with what a machine uses itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db.exception import DBDuplicateEntry, RetryRequest
from sqlalchemy.engine import Connection, RowMapping

from statera.cloud.network import addresses, errors, ranges, values
from statera.cloud.network.access import is_admin, lock_network, owns, subnets_of
from statera.cloud.network.attributes import PROJECT, Attribute, Shape, Values
from statera.cloud.network.documents import publish
from statera.cloud.network.kind import READ_ONLY, Kind, fresh, plain, shown
from statera.cloud.network.ranges import Cidr, Pool
from statera.cloud.network.tables import address, guard, subnet
from statera.lb.caller import Caller
from statera.store.tables.placement import machine

SHAPE = Shape(
    "subnet",
    "subnets",
    (
        *PROJECT,
        Attribute("network_id", values.identifier, update=False, required=True),
        Attribute("cidr", values.cidr, update=False, required=True),
        Attribute("ip_version", values.integer(4, 6), update=False),
        Attribute("name", values.optional_text),
        Attribute("description", values.optional_text),
        Attribute("gateway_ip", values.optional_ip),
        Attribute("enable_dhcp", values.flag),
        Attribute("allocation_pools", values.listed(values.pool, values.POOLS)),
        Attribute("host_routes", values.listed(values.route, values.ROUTES)),
        Attribute("dns_nameservers", values.listed(values.ip, values.NAMESERVERS)),
        Attribute("service_types", values.empty("service types are not offered by this service.")),
    ),
    READ_ONLY | {"subnetpool_id", "ipv6_ra_mode", "ipv6_address_mode"},
)

_GUARD = "subnets"


class Subnets(Kind):
    """Subnets; without role admin, only in the ranges for projects."""

    shape = SHAPE
    table = subnet
    visible = staticmethod(subnets_of)
    missing = errors.SubnetNotFound
    columns = plain(subnet, "network_id", "ip_version", "cidr", "enable_dhcp") | {
        "gateway_ip": sa.func.coalesce(subnet.c.gateway_ip, "")
    }
    publishes = True

    def __init__(self, project_ranges: Sequence[str]) -> None:
        self._ranges = [ipaddress.ip_network(text) for text in project_ranges]

    def changeable(self, caller: Caller, row: RowMapping, network: RowMapping) -> bool:
        """Say whether the caller may change the subnet: as its owner or that of the network."""
        return owns(caller, row["project_id"]) or owns(caller, network["project_id"])

    def views(self, connection: Connection, rows: Sequence[RowMapping]) -> list[Values]:  # noqa: ARG002
        """Return the rows as the API shows them."""
        names = (
            "network_id",
            "ip_version",
            "cidr",
            "gateway_ip",
            "enable_dhcp",
            "allocation_pools",
            "host_routes",
            "dns_nameservers",
        )
        fixed: Values = {
            "subnetpool_id": None,
            "ipv6_ra_mode": None,
            "ipv6_address_mode": None,
            "service_types": [],
        }
        return [shown(row, *names) | fixed for row in rows]

    def create(self, connection: Connection, caller: Caller, values: Values) -> str:
        """Create a subnet and return its id."""
        _lock_all(connection)
        owner = lock_network(connection, values["network_id"], caller)
        if not owns(caller, owner["project_id"]):
            raise errors.PolicyNotAuthorized("rule:create_subnet")
        cidr = ipaddress.ip_network(values["cidr"])
        if not is_admin(caller):
            ranges.check_inside(cidr, self._ranges)
        _check_range(connection, cidr, values)
        gateway = values.get("gateway_ip", ranges.default_gateway(cidr))
        if gateway is not None:
            ranges.check_gateway(cidr, gateway)
        first, last = ranges.bounds(cidr)
        row = (
            fresh()
            | {"name": "", "description": "", "enable_dhcp": True}
            | {"host_routes": [], "dns_nameservers": []}
            | self.stored(values)
            | {
                "ip_version": cidr.version,
                "first": ranges.ordinal(first),
                "last": ranges.ordinal(last),
                "gateway_ip": gateway,
                "allocation_pools": _pools(cidr, gateway, values.get("allocation_pools")),
            }
        )
        _check_versions(cidr, row)
        connection.execute(sa.insert(subnet).values(**row))
        publish(connection, values["network_id"])
        return str(row["id"])

    def update(
        self, connection: Connection, caller: Caller, object_id: str, values: Values
    ) -> None:
        """Change a subnet."""
        row = self.locked(connection, caller, object_id, "update")
        cidr = ipaddress.ip_network(row["cidr"])
        changes = self.stored(values)
        gateway = values.get("gateway_ip", row["gateway_ip"])
        if gateway is not None and gateway != row["gateway_ip"]:
            _check_new_gateway(connection, row, cidr, gateway)
        if "allocation_pools" in values:
            changes["allocation_pools"] = _pools(cidr, gateway, values["allocation_pools"])
        else:
            ranges.check_gateway_outside(cidr, gateway, addresses.pools(row))
        _check_versions(cidr, changes)
        self.stamp(connection, row, changes)
        publish(connection, row["network_id"])

    def delete(self, connection: Connection, caller: Caller, object_id: str) -> None:
        """Delete a subnet.  Raise `errors.SubnetInUse` while ports have addresses of it."""
        row = self.locked(connection, caller, object_id, "delete")
        if connection.scalar(sa.select(sa.exists().where(address.c.subnet_id == object_id))):
            raise errors.SubnetInUse(
                f"Unable to complete operation on subnet {object_id}: "
                "One or more ports have an IP allocation from this subnet."
            )
        connection.execute(sa.delete(subnet).where(subnet.c.id == object_id))
        publish(connection, row["network_id"])


def _lock_all(connection: Connection) -> None:
    """Hold the rule that no two subnets overlap until the transaction ends."""
    statement = sa.select(guard).where(guard.c.name == _GUARD).with_for_update()
    if connection.execute(statement).one_or_none() is None:
        try:
            connection.execute(sa.insert(guard).values(name=_GUARD))
        except DBDuplicateEntry as error:
            # Somebody else was first: begin again.  No savepoint, for MariaDB drops them in a
            # deadlock, which would then be no more than an unknown error.
            raise RetryRequest(error) from None


def _check_range(connection: Connection, cidr: Cidr, values: Values) -> None:
    if values.get("ip_version", cidr.version) != cidr.version:
        raise errors.InvalidInput(
            f"Invalid input for operation: cidr {cidr} does not match ip_version "
            f"'{values['ip_version']}'."
        )
    ranges.check_cidr(cidr)
    first, last = ranges.bounds(cidr)
    overlapping = sa.exists().where(
        subnet.c.ip_version == cidr.version,
        subnet.c.first <= ranges.ordinal(last),
        subnet.c.last >= ranges.ordinal(first),
    )
    if connection.scalar(sa.select(overlapping)):
        raise errors.OverlappingSubnet(
            f"Requested subnet with cidr {cidr} overlaps with another subnet of this installation."
        )
    for occupied in connection.scalars(sa.select(machine.c.occupied)):
        ranges.check_occupied(cidr, occupied)


def _pools(
    cidr: Cidr, gateway: str | None, given: Sequence[dict[str, str]] | None
) -> list[dict[str, str]]:
    """Return the pools as they are stored: those given, or everything but the gateway."""
    found: list[Pool]
    if given is None:
        found = ranges.default_pools(cidr, gateway)
    else:
        found = ranges.pools(cidr, gateway, [(pool["start"], pool["end"]) for pool in given])
    return [
        {
            "start": ranges.text_of(pool.first, cidr.version),
            "end": ranges.text_of(pool.last, cidr.version),
        }
        for pool in found
    ]


def _check_new_gateway(connection: Connection, row: RowMapping, cidr: Cidr, gateway: str) -> None:
    ranges.check_gateway(cidr, gateway)
    taken = sa.exists().where(
        address.c.subnet_id == row["id"],
        address.c.ordinal == ranges.ordinal(ranges.number(gateway)),
    )
    if connection.scalar(sa.select(taken)):
        raise errors.GatewayIpInUse(
            f"Current gateway ip {gateway} already in use by a port. Unable to update."
        )


def _check_versions(cidr: Cidr, row: dict[str, Any]) -> None:
    """Raise if a name server or a route is of the other IP version."""
    for server in row.get("dns_nameservers", ()):
        _check_version(cidr, server, "dns_nameserver")
    for route in row.get("host_routes", ()):
        _check_version(cidr, route["nexthop"], "host_route")
        _check_version(cidr, route["destination"].split("/")[0], "host_route")


def _check_version(cidr: Cidr, text: str, name: str) -> None:
    if ipaddress.ip_address(text).version != cidr.version:
        raise errors.InvalidInput(
            f"Invalid input for operation: {name} '{text}' does not match the ip_version "
            f"'{cidr.version}'."
        )
