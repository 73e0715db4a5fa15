"""The API in one process, and the network service and identity that tests give it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import falcon
import msgspec
from falcon.testing import Result, TestClient

import statera.store.tables.objects
import statera.store.tables.placement
import statera.store.tables.work
from statera.api.app import create_app
from statera.api.context import ApiContext
from statera.api.settings import ApiSettings
from statera.edges.network.protocol import (
    AddressInUse,
    FixedIp,
    Network,
    Port,
    PortRequest,
    Subnet,
)
from statera.lb.caller import Caller
from statera.lb.errors import Conflict, Retryable, Unauthorized
from statera.service.wake import Wakes
from statera.store.schema import metadata
from tests.databases import tables

NET, OTHER_NET = "11111111-1111-4111-8111-111111111111", "12121212-1212-4212-8212-121212121212"
SUBNET = "22222222-2222-4222-8222-222222222222"
SUBNET6 = "23232323-2323-4323-8323-232323232323"
OTHER_SUBNET = "24242424-2424-4424-8424-242424242424"
UNKNOWN = "99999999-9999-4999-8999-999999999999"
PROJECT, FOREIGN = "project-a", "project-b"

SUBNETS = {
    SUBNET: Subnet(SUBNET, NET, "10.1.0.0/24", "10.1.0.1", 200),
    SUBNET6: Subnet(SUBNET6, NET, "fd00::/64", "fd00::1", 200),
    OTHER_SUBNET: Subnet(OTHER_SUBNET, OTHER_NET, "10.2.0.0/24", "10.2.0.1", 1),
}


class MemoryIdentity:
    """Takes the token for `role,role@project`; no token is nobody."""

    silent = False

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller that the token spells."""
        if self.silent:
            raise Retryable("identity is silent")
        token = headers.get("x-auth-token")
        if not token:
            raise Unauthorized("no token")
        roles, _, project = token.partition("@")
        return Caller("user", project or None, frozenset(roles.split(",")))


class MemoryNetworks:
    """Two networks, ports in memory, every address given once."""

    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}
        self.names: dict[str, str] = {}
        self.released: list[str] = []
        self.failure: Exception | None = None
        self._numbers = itertools.count(10)
        self._lock = threading.Lock()

    def network(self, network_id: str, caller: Caller | None = None) -> Network | None:
        """Return one of the two."""
        del caller
        found = tuple(one for one in SUBNETS.values() if one.network_id == network_id)
        return Network(network_id, 1500, found) if found else None

    def subnet(self, subnet_id: str, caller: Caller | None = None) -> Subnet | None:
        """Return one of the three."""
        del caller
        return SUBNETS.get(subnet_id)

    def port(self, port_id: str, caller: Caller | None = None) -> Port | None:
        """Return a port."""
        del caller
        return self.ports.get(port_id)

    def ensure_port(self, request: PortRequest) -> Port:
        """Make the port unless it exists."""
        if self.failure is not None:
            raise self.failure
        with self._lock:
            if request.name in self.names:
                return self.ports[self.names[request.name]]
            fixed = tuple(self._fixed(subnet, address) for subnet, address in request.fixed_ips)
            number = next(self._numbers)
            port = Port(
                f"33333333-3333-4333-8333-{number:012d}",
                request.network_id,
                "02:00:00:00:00:01",
                fixed,
                request.device_id,
                owned=True,
            )
            self.ports[port.id] = port
            self.names[request.name] = port.id
            return port

    def _fixed(self, subnet_id: str, address: str | None) -> FixedIp:
        taken = {fixed.ip_address for port in self.ports.values() for fixed in port.fixed_ips}
        if address in taken:
            raise AddressInUse(f"{address} is in use on subnet {subnet_id}")
        if address is None:
            number = next(self._numbers)
            prefix = SUBNETS[subnet_id].cidr.split("/")[0]
            address = f"{prefix}{number:x}" if ":" in prefix else f"{prefix[:-1]}{number % 250}"
        return FixedIp(subnet_id, address)

    def claim_port(self, port_id: str, device_id: str, device_owner: str) -> Port:
        """Bind a port."""
        del device_owner
        port = self.ports[port_id]
        if port.device_id not in ("", device_id):
            raise Conflict(f"Port {port_id} is in use")
        self.ports[port_id] = replace(port, device_id=device_id)
        return self.ports[port_id]

    def release_port(self, port_id: str, device_id: str) -> None:
        """Remove a port that was made, unbind any other."""
        del device_id
        self.released.append(port_id)
        port = self.ports.pop(port_id, None)
        if port is not None and not port.owned:
            self.ports[port_id] = replace(port, device_id="")

    def release_device(self, device_id: str) -> None:
        """Release every port of a device."""
        for port in list(self.ports.values()):
            if port.device_id == device_id:
                self.release_port(port.id, device_id)


class NoKeys:
    """A key manager without keys."""

    def readable(self, reference: str, caller: Caller) -> bool:
        """Read only what is called good."""
        del caller
        return reference.startswith("good")


class Api:
    """A client of the API, as a member of `PROJECT` unless told otherwise."""

    def __init__(self, context: ApiContext, networks: MemoryNetworks) -> None:
        self.context = context
        self.networks = networks
        self.database = context.database
        self.app: falcon.App[falcon.Request, falcon.Response] = create_app(context)
        self._client = TestClient(self.app)

    def call(
        self, method: str, path: str, body: object = None, *, as_: str = f"member@{PROJECT}",
        **options: Any,
    ) -> Result:  # fmt: skip
        """Send one request; a body that is no bytes is encoded."""
        headers = {**({"X-Auth-Token": as_} if as_ else {}), **options.pop("headers", {})}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            options["body"] = body if isinstance(body, bytes) else msgspec.json.encode(body)
        url = path if path.startswith(("/v", "//")) or path == "/" else f"/v2.0/lbaas{path}"
        return self._client.simulate_request(method, url, headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        """Return the body of a GET that must succeed."""
        result = self.call("GET", path, **options)
        assert result.status_code == 200, result.text
        return result.json

    def make(self, path: str, root: str, values: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Return the object that a POST creates."""
        result = self.call("POST", path, {root: values}, **options)
        assert result.status_code == 201, result.text
        made: dict[str, Any] = result.json[root]
        return made

    def load_balancer(self, **values: Any) -> dict[str, Any]:
        """Create a load balancer."""
        return self.make("/loadbalancers", "loadbalancer", {"vip_subnet_id": SUBNET, **values})

    def listener(self, root: str, **values: Any) -> dict[str, Any]:
        """Create a listener."""
        given = {"loadbalancer_id": root, "protocol": "HTTP", "protocol_port": 80, **values}
        return self.make("/listeners", "listener", given)

    def pool(self, root: str | None, **values: Any) -> dict[str, Any]:
        """Create a pool."""
        given = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **values}
        return self.make("/pools", "pool", given | ({"loadbalancer_id": root} if root else {}))

    def member(self, pool_id: str, address: str = "10.9.0.1", **values: Any) -> dict[str, Any]:
        """Create a member."""
        given = {"address": address, "protocol_port": 80, **values}
        return self.make(f"/pools/{pool_id}/members", "member", given)

    def monitor(self, pool_id: str, **values: Any) -> dict[str, Any]:
        """Create a health monitor."""
        given = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, **values}
        return self.make("/healthmonitors", "healthmonitor", {"pool_id": pool_id, **given})

    def settle(self) -> None:
        """Let every wish be in force, as the controller would, deletions included."""
        with self.database.engine.begin() as connection:
            for table in (*statera.store.tables.objects.CHILDREN, _ROOT):
                connection.execute(table.delete().where(table.c.live.is_(None)))
                connection.execute(
                    table.update().values(settled=table.c.generation, pending_since=None)
                )

    def snapshot(self) -> list[tuple[Any, ...]]:
        """Return every row of every table of objects and work."""
        with self.database.engine.connect() as connection:
            tables = [table for table in metadata.sorted_tables if table.name != "alembic_version"]
            return [
                (table.name, *row)
                for table in tables
                for row in connection.execute(table.select()).fetchall()
            ]


_ROOT = statera.store.tables.objects.load_balancer


@contextmanager
def running_api(kind: str, directory: Path, settings: ApiSettings) -> Iterator[Api]:
    """Run the API below a directory, over an empty database."""
    networks, wakes = MemoryNetworks(), Wakes(directory / "run")
    with tables(kind, directory) as database:
        context = ApiContext(database, MemoryIdentity(), networks, NoKeys(), wakes, settings)
        yield Api(context, networks)
