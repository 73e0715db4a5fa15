"""The embedded network service as the core asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from statera.cloud.network import addresses, errors, ports
from statera.cloud.network.access import lock_network, networks_of, ports_of, subnets_of
from statera.cloud.network.addresses import Wanted
from statera.cloud.network.kind import fresh, moment
from statera.cloud.network.tables import network, port, subnet
from statera.edges.network.protocol import (
    VIP_DEVICE,
    AddressInUse,
    FixedIp,
    Network,
    Port,
    PortRequest,
    Subnet,
)
from statera.lb.caller import Caller
from statera.lb.errors import Conflict, Retryable
from statera.store.database import Database

_NAMESPACE = uuid.UUID("d0a7a3e2-1d2a-4f7b-8a53-3f7f5c8f6b11")


class EmbeddedNetworks:
    """Implements `edges.network.protocol.Networks` on the tables of this installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def network(self, network_id: str, caller: Caller | None = None) -> Network | None:
        """Return the network, or None if there is none that the caller can see."""

        def work(connection: Connection) -> Network | None:
            row = _one(connection, network, network_id, networks_of(caller))
            if row is None:
                return None
            rows = addresses.of_network(connection, network_id)
            return Network(network_id, row["mtu"], _subnets(connection, rows))

        return self._database.read(work)

    def subnet(self, subnet_id: str, caller: Caller | None = None) -> Subnet | None:
        """Return the subnet, or None if there is none that the caller can see."""

        def work(connection: Connection) -> Subnet | None:
            row = _one(connection, subnet, subnet_id, subnets_of(caller))
            return None if row is None else _subnets(connection, [row])[0]

        return self._database.read(work)

    def port(self, port_id: str, caller: Caller | None = None) -> Port | None:
        """Return the port, or None if there is none that the caller can see."""

        def work(connection: Connection) -> Port | None:
            row = _one(connection, port, port_id, ports_of(caller))
            return None if row is None else _as_port(connection, row)

        return self._database.read(work)

    def ensure_port(self, request: PortRequest) -> Port:
        """Create the port of that name and device, or return it if it exists.

        Its id is made from name and device, so that two who ask at once can only get the same one.
        Raise `AddressInUse` for a taken address, `lb.errors.Retryable` when no address is free, and
        `lb.errors.UserError` when the network, a subnet or an address cannot be had at all.
        """
        port_id = str(uuid.uuid5(_NAMESPACE, f"{request.device_id}/{request.name}"))

        def work(connection: Connection) -> Port:
            lock_network(connection, request.network_id)
            if _one(connection, port, port_id) is None:
                _create(connection, port_id, request)
            return _port(connection, port_id)

        try:
            # Most calls are repetitions: those take no lock.
            return self.port(port_id) or self._database.write(work)
        except errors.IpAddressAlreadyAllocated as error:
            raise AddressInUse(error.text) from None
        except errors.IpAddressGenerationFailure as error:
            raise Retryable(error.text) from None

    def claim_port(self, port_id: str, device_id: str, device_owner: str) -> Port:
        """Bind a user's port to a device; repeatable.

        Raise `lb.errors.Conflict` if another device has it, `lb.errors.NotFound` if it is gone.
        """

        def work(connection: Connection) -> Port:
            row = _locked_port(connection, port_id)
            if row is None:
                raise errors.PortNotFound(port_id)
            if row["device_id"] not in {"", device_id}:
                raise Conflict(f"Port {port_id} is already used by device {row['device_id']}.")
            bound = row["bound"] or ports.CLAIMED
            _bind(connection, row, device_id, device_owner, bound)
            return _port(connection, port_id)

        return self._database.write(work)

    def release_port(self, port_id: str, device_id: str) -> None:
        """Delete a port that the service created, unbind one that a user gave; repeatable."""

        self._database.write(lambda connection: _release(connection, port_id, device_id))

    def release_device(self, device_id: str) -> None:
        """Release every port of a device as `release_port` does; repeatable.

        A port whose user merely wrote the device's id into it is none of the service's.
        """
        bound = sa.select(port.c.id).where(port.c.device_id == device_id, port.c.bound != "")
        for port_id in self._database.read(lambda connection: connection.scalars(bound).all()):
            self.release_port(port_id, device_id)


def _one(
    connection: Connection,
    table: sa.Table,
    object_id: str,
    visible: sa.ColumnElement[bool] | None = None,
) -> RowMapping | None:
    condition = sa.true() if visible is None else visible
    statement = sa.select(table).where(table.c.id == object_id, condition)
    return connection.execute(statement).mappings().one_or_none()


def _locked_port(connection: Connection, port_id: str) -> RowMapping | None:
    row = _one(connection, port, port_id)
    if row is None:
        return None
    try:
        lock_network(connection, row["network_id"])
    except errors.NetworkNotFound:  # deleted since, and so was the port
        return None
    return _one(connection, port, port_id)


def _create(connection: Connection, port_id: str, request: PortRequest) -> None:
    row = fresh() | {
        "id": port_id,
        "project_id": request.project_id,
        "network_id": request.network_id,
        "name": request.name,
        "device_id": request.device_id,
        "device_owner": request.device_owner,
        "bound": ports.OWNED,
        # The VIP's port only reserves the address: what serves it has ports of its own.
        "admin_state_up": not request.device_id.startswith(VIP_DEVICE),
    }
    ports.insert(connection, row)
    if request.fixed_ips:
        wishes = [Wanted(*wish) for wish in request.fixed_ips]
        addresses.assign(connection, request.network_id, port_id, wishes)
    elif not addresses.assign_any(connection, request.network_id, port_id):
        raise errors.IpAddressGenerationFailure(request.network_id)


def _release(connection: Connection, port_id: str, device_id: str) -> None:
    row = _locked_port(connection, port_id)
    if row is None or row["device_id"] != device_id:
        return
    if row["bound"] == ports.OWNED:
        ports.remove(connection, port_id)
    elif row["bound"] == ports.CLAIMED:
        _bind(connection, row, "", "", "")


def _bind(
    connection: Connection, row: RowMapping, device_id: str, device_owner: str, bound: str
) -> None:
    if (row["device_id"], row["device_owner"], row["bound"]) == (device_id, device_owner, bound):
        return
    connection.execute(
        sa.update(port)
        .where(port.c.id == row["id"])
        .values(
            device_id=device_id,
            device_owner=device_owner,
            bound=bound,
            revision_number=row["revision_number"] + 1,
            updated_at=moment(),
        )
    )


def _port(connection: Connection, port_id: str) -> Port:
    """Return a port that is there: its network is locked."""
    row = connection.execute(sa.select(port).where(port.c.id == port_id)).mappings().one()
    return _as_port(connection, row)


def _as_port(connection: Connection, row: RowMapping) -> Port:
    held = addresses.of_ports(connection, [row["id"]])[row["id"]]
    return Port(
        id=row["id"],
        network_id=row["network_id"],
        mac_address=row["mac_address"],
        fixed_ips=tuple(FixedIp(have["subnet_id"], have["ip_address"]) for have in held),
        device_id=row["device_id"],
        owned=row["bound"] == ports.OWNED,
    )


def _subnets(connection: Connection, rows: Sequence[RowMapping]) -> tuple[Subnet, ...]:
    return tuple(
        Subnet(
            id=row["id"],
            network_id=row["network_id"],
            cidr=row["cidr"],
            gateway_ip=row["gateway_ip"],
            free=addresses.free(connection, row),
            host_routes=tuple((r["destination"], r["nexthop"]) for r in row["host_routes"]),
        )
        for row in rows
    )
