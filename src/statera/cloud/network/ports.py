"""The resource `port`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from statera.cloud.network import addresses, errors, listing, ranges, values
from statera.cloud.network.access import is_admin, lock_network, ports_of
from statera.cloud.network.addresses import Wanted
from statera.cloud.network.attributes import PROJECT, Attribute, Shape, Values
from statera.cloud.network.kind import READ_ONLY, Kind, fresh, plain, shown
from statera.cloud.network.listing import Filter
from statera.cloud.network.tables import address, port
from statera.lb.caller import Caller

OWNED = "owned"
"""`bound` of a port that a service of the installation made."""
CLAIMED = "claimed"
"""`bound` of a user's port that a service of the installation uses."""

_GUARDED = frozenset({"fixed_ips", "device_id", "device_owner"})
"""What only an admin changes on a port that a service uses."""

_status = sa.case(
    (sa.and_(port.c.device_id != "", port.c.admin_state_up.is_(sa.true())), "ACTIVE"),
    else_="DOWN",
)


def _no_groups(value: Any) -> list[str]:
    if value in (None, []):
        return []
    raise errors.SecurityGroupNotFound(f"Security group {str(value)[:80]} does not exist")


SHAPE = Shape(
    "port",
    "ports",
    (
        *PROJECT,
        Attribute("network_id", values.identifier, update=False, required=True),
        Attribute("name", values.optional_text),
        Attribute("description", values.optional_text),
        Attribute("admin_state_up", values.flag),
        Attribute("fixed_ips", values.listed(values.fixed_ip, values.FIXED_IPS)),
        Attribute("device_id", values.optional_text),
        Attribute("device_owner", values.optional_text),
        Attribute("allowed_address_pairs", values.listed(values.address_pair, values.PAIRS)),
        Attribute(
            "port_security_enabled", values.never("port security is not offered by this service.")
        ),
        Attribute("security_groups", _no_groups),
    ),
    READ_ONLY | {"mac_address"},
)


def _having_addresses(wanted: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return the condition for ports with an address as in `subnet_id=…` or `ip_address=…`."""
    asked: dict[str, list[str]] = {"subnet_id": [], "ip_address": []}
    for item in wanted:
        name, _, value = item.partition("=")
        if name not in asked:
            raise ValueError(f"'{item[:80]}' is neither 'subnet_id=' nor 'ip_address='.")
        asked[name].append(values.ip(value) if name == "ip_address" else listing.storable(value))
    fits = [address.c[name].in_(found) for name, found in asked.items() if found]
    return port.c.id.in_(sa.select(address.c.port_id).where(*fits))


def _in_groups(_wanted: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.false()


class Ports(Kind):
    """Ports."""

    shape = SHAPE
    table = port
    visible = staticmethod(ports_of)
    missing = errors.PortNotFound
    columns = plain(
        port, "network_id", "admin_state_up", "mac_address", "device_id", "device_owner"
    ) | {"status": _status}
    filters: ClassVar[dict[str, Filter]] = {
        "fixed_ips": _having_addresses,
        "security_groups": _in_groups,
        "port_security_enabled": listing.constant(False),
    }

    def views(self, connection: Connection, rows: Sequence[RowMapping]) -> list[Values]:
        """Return the rows as the API shows them."""
        names = (
            "network_id",
            "admin_state_up",
            "status",
            "mac_address",
            "device_id",
            "device_owner",
            "allowed_address_pairs",
        )
        held = addresses.of_ports(connection, [row["id"] for row in rows])
        return [
            shown(row, *names)
            | {
                "fixed_ips": [
                    {"subnet_id": have["subnet_id"], "ip_address": have["ip_address"]}
                    for have in held[row["id"]]
                ],
                "security_groups": [],
                "port_security_enabled": False,
            }
            for row in rows
        ]

    def create(self, connection: Connection, caller: Caller, values: Values) -> str:
        """Create a port and return its id; without `fixed_ips` it gets one of each IP version."""
        network_id = values["network_id"]
        lock_network(connection, network_id, caller)
        row = fresh() | self.stored(values)
        insert(connection, row)
        if "fixed_ips" in values:
            addresses.assign(connection, network_id, row["id"], _wishes(values["fixed_ips"]))
        else:
            addresses.assign_any(connection, network_id, row["id"])
        return str(row["id"])

    def update(
        self, connection: Connection, caller: Caller, object_id: str, values: Values
    ) -> None:
        """Change a port."""
        row = self.locked(connection, caller, object_id, "update")
        if _GUARDED & values.keys():
            _check_unbound(caller, row)
        if "fixed_ips" in values:
            wishes = _wishes(values["fixed_ips"])
            addresses.assign(connection, row["network_id"], object_id, wishes)
        self.stamp(connection, row, self.stored(values))

    def delete(self, connection: Connection, caller: Caller, object_id: str) -> None:
        """Delete a port.  Raise `errors.ServicePortInUse` if a service uses it."""
        row = self.locked(connection, caller, object_id, "delete")
        _check_unbound(caller, row)
        remove(connection, object_id)

    def _select(self) -> sa.Select[Any]:
        return sa.select(port, _status.label("status"))


def insert(connection: Connection, row: Values) -> None:
    """Insert a port; what the row lacks has its usual value."""
    usual = {
        "name": "",
        "description": "",
        "admin_state_up": True,
        "mac_address": ranges.mac_of(row["id"]),
        "device_id": "",
        "device_owner": "",
        "bound": "",
        "allowed_address_pairs": [],
    }
    connection.execute(sa.insert(port).values(**usual | row))


def remove(connection: Connection, port_id: str) -> None:
    """Delete a port and its addresses."""
    addresses.release_all(connection, port_id)
    connection.execute(sa.delete(port).where(port.c.id == port_id))


def _wishes(fixed_ips: Sequence[dict[str, str]]) -> list[Wanted]:
    return [Wanted(item.get("subnet_id"), item.get("ip_address")) for item in fixed_ips]


def _check_unbound(caller: Caller, row: RowMapping) -> None:
    if row["bound"] and not is_admin(caller):
        raise errors.ServicePortInUse(row["id"], row["device_id"])
