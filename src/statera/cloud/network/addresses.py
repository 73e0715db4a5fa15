"""Giving addresses to ports and taking them back.

Every function that writes is called under the lock of the network's row: two requests never look
for a free address of one subnet at the same time, and the primary key of the table stands behind
that.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from statera.cloud.network import errors, ranges
from statera.cloud.network.ranges import Pool
from statera.cloud.network.tables import address, subnet


class Wanted(NamedTuple):
    """A wish for one address: in this subnet, exactly this one, or both."""

    subnet_id: str | None = None
    ip_address: str | None = None


def of_ports(connection: Connection, port_ids: Iterable[str]) -> dict[str, list[RowMapping]]:
    """Return the addresses of ports, each port's in its order."""
    found: dict[str, list[RowMapping]] = {port_id: [] for port_id in port_ids}
    for row in connection.execute(
        sa.select(address).where(address.c.port_id.in_(list(found))).order_by(address.c.position)
    ).mappings():
        found[row["port_id"]].append(row)
    return found


def of_network(connection: Connection, network_id: str) -> Sequence[RowMapping]:
    """Return the subnets of a network in the order of their creation."""
    statement = (
        sa.select(subnet)
        .where(subnet.c.network_id == network_id)
        .order_by(subnet.c.created_at, subnet.c.id)
    )
    return connection.execute(statement).mappings().all()


def free(connection: Connection, row: RowMapping) -> int:
    """Return how many addresses of a subnet can still be allocated."""
    found = pools(row)
    if not found:
        return 0
    pooled = sa.or_(
        *(
            address.c.ordinal.between(ranges.ordinal(pool.first), ranges.ordinal(pool.last))
            for pool in found
        )
    )
    used = connection.scalar(
        sa.select(sa.func.count()).where(address.c.subnet_id == row["id"], pooled)
    )
    return sum(pool.last - pool.first + 1 for pool in found) - int(used or 0)


def pools(row: RowMapping) -> list[Pool]:
    """Return the allocation pools of a subnet's row, ascending."""
    return [
        Pool(ranges.number(pool["start"]), ranges.number(pool["end"]))
        for pool in row["allocation_pools"]
    ]


def assign_any(connection: Connection, network_id: str, port_id: str) -> int:
    """Give a new port an address of each IP version that the network has; return how many.

    Raise `errors.IpAddressGenerationFailure` if a version has subnets and none has room.
    """
    subnets = of_network(connection, network_id)
    position = 0
    for version in (4, 6):
        rows = [row for row in subnets if row["ip_version"] == version]
        if not rows:
            continue
        if not any(_take_free(connection, row, port_id, position) for row in rows):
            raise errors.IpAddressGenerationFailure(network_id)
        position += 1
    return position


def assign(connection: Connection, network_id: str, port_id: str, wishes: Sequence[Wanted]) -> None:
    """Make these the addresses of a port, keeping those that it has already.

    Raise `errors.InvalidInput`, `InvalidIpForSubnet`, `InvalidIpForNetwork`,
    `IpAddressAlreadyAllocated` or `IpAddressGenerationFailure`.
    """
    subnets = of_network(connection, network_id)
    places = [(_subnet(wish, subnets, network_id), wish.ip_address) for wish in wishes]
    held = of_ports(connection, [port_id])[port_id]
    kept = _keep(places, held)
    for row in held:
        if row["ordinal"] not in kept.values():
            _release(connection, row)
    # Those that are exactly known go first, or a free one could be the one wanted next.
    order = sorted(range(len(places)), key=lambda position: places[position][1] is None)
    for position in order:
        row, exact = places[position]
        if position in kept:
            _move(connection, row, kept[position], position)
        elif exact is not None:
            _take(connection, row, exact, port_id, position)
        elif not _take_free(connection, row, port_id, position):
            raise errors.IpAddressGenerationFailure(network_id)


def release_all(connection: Connection, port_id: str) -> None:
    """Take every address of a port back."""
    connection.execute(sa.delete(address).where(address.c.port_id == port_id))


def _subnet(wish: Wanted, subnets: Sequence[RowMapping], network_id: str) -> RowMapping:
    """Return the subnet that a wish is about."""
    if wish.subnet_id is not None:
        for row in subnets:
            if row["id"] == wish.subnet_id:
                return row
        raise errors.InvalidInput(
            f"Invalid input for operation: network {network_id} has no subnet {wish.subnet_id}."
        )
    for row in subnets:
        wanted = ipaddress.ip_address(str(wish.ip_address))
        if wanted in ipaddress.ip_network(row["cidr"]):
            return row
    raise errors.InvalidIpForNetwork(
        f"IP address {wish.ip_address} is not a valid IP for any of the subnets on the specified "
        "network."
    )


def _keep(
    places: Sequence[tuple[RowMapping, str | None]], held: Sequence[RowMapping]
) -> dict[int, str]:
    """Return which wish, by position, is met by which address (ordinal) the port already has."""
    kept: dict[int, str] = {}
    for exactly in (True, False):
        for position, (row, exact) in enumerate(places):
            if (exact is not None) != exactly:
                continue
            for have in held:
                fits = have["subnet_id"] == row["id"] and exact in {None, have["ip_address"]}
                if fits and have["ordinal"] not in kept.values():
                    kept[position] = have["ordinal"]
                    break
    return kept


def _take(
    connection: Connection, row: RowMapping, wanted: str, port_id: str, position: int
) -> None:
    ranges.check_host(ipaddress.ip_network(row["cidr"]), row["gateway_ip"], wanted)
    ordinal = ranges.ordinal(ranges.number(wanted))
    taken = sa.exists().where(address.c.subnet_id == row["id"], address.c.ordinal == ordinal)
    if connection.scalar(sa.select(taken)):
        raise errors.IpAddressAlreadyAllocated(wanted, row["id"])
    _insert(connection, row, ranges.number(wanted), port_id, position)


def _take_free(connection: Connection, row: RowMapping, port_id: str, position: int) -> bool:
    """Give the port the next free address of a subnet; return False if there is none."""

    def used(low: int, high: int) -> list[int]:
        ordinals = connection.scalars(
            sa.select(address.c.ordinal)
            .where(
                address.c.subnet_id == row["id"],
                address.c.ordinal.between(ranges.ordinal(low), ranges.ordinal(high)),
            )
            .order_by(address.c.ordinal)
            .limit(ranges.BATCH)
        )
        return [int(ordinal, 16) for ordinal in ordinals]

    # Read again: an earlier address of the same request may have moved it.
    last: str | None = connection.scalar(
        sa.select(subnet.c.last_allocated).where(subnet.c.id == row["id"])
    )
    number = ranges.first_free(pools(row), int(last, 16) if last else None, used)
    if number is None:
        return False
    _insert(connection, row, number, port_id, position)
    connection.execute(
        sa.update(subnet)
        .where(subnet.c.id == row["id"])
        .values(last_allocated=ranges.ordinal(number))
    )
    return True


def _insert(
    connection: Connection, row: RowMapping, number: int, port_id: str, position: int
) -> None:
    values: dict[str, Any] = {
        "subnet_id": row["id"],
        "ordinal": ranges.ordinal(number),
        "port_id": port_id,
        "position": position,
        "ip_address": ranges.text_of(number, row["ip_version"]),
    }
    connection.execute(sa.insert(address).values(**values))


def _move(connection: Connection, row: RowMapping, ordinal: str, position: int) -> None:
    connection.execute(
        sa.update(address)
        .where(address.c.subnet_id == row["id"], address.c.ordinal == ordinal)
        .values(position=position)
    )


def _release(connection: Connection, row: RowMapping) -> None:
    connection.execute(
        sa.delete(address).where(
            address.c.subnet_id == row["subnet_id"], address.c.ordinal == row["ordinal"]
        )
    )
