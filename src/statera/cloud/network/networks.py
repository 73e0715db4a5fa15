"""The resource `network`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from statera.cloud.network import errors, listing, values
from statera.cloud.network.access import networks_of
from statera.cloud.network.attributes import PROJECT, Attribute, Shape, Values
from statera.cloud.network.documents import publish
from statera.cloud.network.kind import READ_ONLY, Kind, fresh, plain, shown
from statera.cloud.network.listing import Filter
from statera.cloud.network.tables import network, port, subnet
from statera.lb.caller import Caller
from statera.store.tables.placement import network_observation

SMALLEST_MTU = 1280
"""What IPv6 needs."""
LARGEST_MTU = 65535

_broken = sa.exists().where(
    network_observation.c.network_id == network.c.id, network_observation.c.fault.is_not(None)
)
_status = sa.case((_broken, "DOWN"), else_="ACTIVE")

SHAPE = Shape(
    "network",
    "networks",
    (
        *PROJECT,
        Attribute("name", values.optional_text),
        Attribute("description", values.optional_text),
        Attribute("admin_state_up", values.flag),
        Attribute("shared", values.flag, admin=True, usual=False),
        Attribute("mtu", values.integer(SMALLEST_MTU, LARGEST_MTU)),
        Attribute(
            "router:external", values.never("external networks are not offered by this service.")
        ),
        Attribute(
            "port_security_enabled", values.never("port security is not offered by this service.")
        ),
    ),
    READ_ONLY | {"subnets"},
)


def _having_subnets(wanted: Sequence[str]) -> sa.ColumnElement[bool]:
    return network.c.id.in_(
        sa.select(subnet.c.network_id).where(
            subnet.c.id.in_([listing.storable(value) for value in wanted])
        )
    )


class Networks(Kind):
    """Networks; `mtu` is that of a network whose creator names none."""

    shape = SHAPE
    table = network
    visible = staticmethod(networks_of)
    missing = errors.NetworkNotFound
    columns = plain(network, "admin_state_up", "shared", "mtu") | {"status": _status}
    filters: ClassVar[dict[str, Filter]] = {
        "router:external": listing.constant(False),
        "port_security_enabled": listing.constant(False),
        "subnets": _having_subnets,
    }
    publishes = True

    def __init__(self, mtu: int) -> None:
        self._mtu = mtu

    def views(self, connection: Connection, rows: Sequence[RowMapping]) -> list[Values]:
        """Return the rows as the API shows them, subnets in the order of their creation."""
        ids = [row["id"] for row in rows]
        subnets = defaultdict(list)
        for found in connection.execute(
            sa.select(subnet.c.id, subnet.c.network_id)
            .where(subnet.c.network_id.in_(ids))
            .order_by(subnet.c.created_at, subnet.c.id)
        ):
            subnets[found.network_id].append(found.id)
        return [
            shown(row, "admin_state_up", "shared", "mtu", "status")
            | {
                "subnets": subnets[row["id"]],
                "router:external": False,
                "port_security_enabled": False,
            }
            for row in rows
        ]

    def create(self, connection: Connection, caller: Caller, values: Values) -> str:  # noqa: ARG002
        """Create a network and return its id; it gets its document with its first subnet."""
        row = fresh() | {
            "name": "",
            "description": "",
            "admin_state_up": True,
            "shared": False,
            "mtu": self._mtu,
        }
        connection.execute(sa.insert(network).values(**row | self.stored(values)))
        return str(row["id"])

    def update(
        self, connection: Connection, caller: Caller, object_id: str, values: Values
    ) -> None:
        """Change a network.  Raise `errors.InvalidSharedSetting` if others use what was shared."""
        row = self.locked(connection, caller, object_id, "update")
        if values.get("shared") is False and row["shared"]:
            _check_unshared(connection, row)
        self.stamp(connection, row, self.stored(values))
        publish(connection, object_id)

    def delete(self, connection: Connection, caller: Caller, object_id: str) -> None:
        """Delete a network and its subnets.  Raise `errors.NetworkInUse` while it has ports."""
        self.locked(connection, caller, object_id, "delete")
        if connection.scalar(sa.select(sa.exists().where(port.c.network_id == object_id))):
            raise errors.NetworkInUse(
                f"Unable to complete operation on network {object_id}. "
                "There are one or more ports still in use on the network."
            )
        connection.execute(sa.delete(subnet).where(subnet.c.network_id == object_id))
        publish(connection, object_id)
        connection.execute(sa.delete(network).where(network.c.id == object_id))

    def _select(self) -> sa.Select[Any]:
        return sa.select(network, _status.label("status"))


def _check_unshared(connection: Connection, row: RowMapping) -> None:
    foreign = sa.exists().where(
        port.c.network_id == row["id"], port.c.project_id != row["project_id"]
    )
    if connection.scalar(sa.select(foreign)):
        raise errors.InvalidSharedSetting(
            f"Unable to reconfigure sharing settings for network {row['name']}. "
            "Multiple projects are using it."
        )
