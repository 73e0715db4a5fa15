"""API, controller, gateway and an agent around one database, for requests with consequences.

The agent is the tests' own (it obeys at once, and makes nothing true); all the rest is real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import sqlalchemy as sa
from falcon.testing import TestClient

from statera.api.app import create_app
from statera.api.context import ApiContext
from statera.api.settings import ApiSettings
from statera.cloud.network.app import create_app as create_network
from statera.cloud.network.embedded import EmbeddedNetworks
from statera.cloud.network.settings import NetworkSettings
from statera.cloud.network.tables import port
from statera.edges.identity.noauth import NoAuth
from statera.edges.keys.noop import NoopKeys
from statera.spec.document import AmphoraSpec
from statera.store.tables import objects
from statera.store.tables.placement import amphora
from statera.store.tables.work import work
from tests.databases import tables
from tests.installation import eventually
from tests.unit.controller.rig import Rig

HEADERS = {"x-project-id": "project", "Content-Type": "application/json"}


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Do all at once, and return what each returns."""
    start = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait(timeout=30)
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


class House:
    """A running installation."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.database = rig.database
        networks = rig.edges.networks
        context = ApiContext(rig.database, NoAuth(), networks, NoopKeys(), rig.wakes, ApiSettings())
        self._balancing = TestClient(create_app(context))
        settings = NetworkSettings()
        self._networking = TestClient(create_network(rig.database, NoAuth(), rig.wakes, settings))
        self.network_id = self.plug("networks", "network", name="n")["id"]
        subnet = {"network_id": self.network_id, "cidr": "10.1.0.0/16", "ip_version": 4}
        self.subnet_id: str = self.plug("subnets", "subnet", **subnet)["id"]

    def plug(self, collection: str, root: str, **values: Any) -> dict[str, Any]:
        """Create an object of the Network API."""
        result = self._networking.simulate_post(
            f"/v2.0/{collection}", json={root: values}, headers=HEADERS
        )
        assert result.status_code == 201, result.text
        made: dict[str, Any] = result.json[root]
        return made

    def call(self, method: str, path: str, body: Any = None) -> int:
        """Send a request to the load balancer API and return the status."""
        status: int = self._call(method, path, body).status_code
        return status

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        text = None if body is None else msgspec.json.encode(body)
        url = f"/v2.0/lbaas{path}"
        return self._balancing.simulate_request(method, url, body=text, headers=HEADERS)

    def make(self, path: str, root: str, **values: Any) -> str:
        """Create an object, which must be accepted; return its id."""
        result = self._call("POST", path, {root: values})
        assert result.status_code == 201, result.text
        made: str = result.json[root]["id"]
        return made

    def delete(self, path: str) -> None:
        """Delete an object, which must be accepted."""
        result = self._call("DELETE", path)
        assert result.status_code == 204, result.text

    def shown(self, path: str) -> dict[str, Any]:
        """Return the object that a GET shows."""
        result = self._call("GET", path)
        assert result.status_code == 200, result.text
        (shown,) = result.json.values()
        return dict(shown)

    def balancer(self, **values: Any) -> str:
        """Create a load balancer on the one subnet."""
        return self.make("/loadbalancers", "loadbalancer", vip_subnet_id=self.subnet_id, **values)

    def rows(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> list[Any]:
        """Return rows of a table."""
        return self.database.read(lambda c: list(c.execute(sa.select(table).where(*where))))

    def ports_of(self, load_balancer_id: str) -> list[Any]:
        """Return the ports that exist because of a load balancer."""
        mine = self.rows(amphora, amphora.c.load_balancer_id == load_balancer_id)
        devices = [f"lb-{load_balancer_id}", *(each.id for each in mine)]
        return self.rows(port, port.c.device_id.in_(devices))

    def document(self, load_balancer_id: str) -> AmphoraSpec:
        """Return what the agent holds of a load balancer."""
        (held,) = (
            each
            for each in self.rig.agent.held.values()
            if isinstance(each, AmphoraSpec) and each.load_balancer_id == load_balancer_id
        )
        return held

    def converged(self, root: str) -> None:
        """Wait until everything wished of a load balancer is in force, and nothing is left to do.

        Then every row is in force, without a fault, and the agent holds these objects alone.
        """
        self.rig.settled(root)

        def idle() -> bool:
            (row,) = self.rows(work, work.c.load_balancer_id == root)
            return row.due_at is None and row.leased_by is None

        eventually("nothing due", idle)
        held = self.document(root)
        members = [each.id for pool in held.pools for each in pool.members]
        monitors = [pool.monitor.id for pool in held.pools if pool.monitor]
        told = {
            objects.listener: [each.id for each in held.listeners],
            objects.pool: [each.id for each in held.pools],
            objects.member: members,
            objects.health_monitor: monitors,
        }
        for table in objects.CHILDREN:
            rows = self.rows(table, table.c.load_balancer_id == root)
            assert all(row.live and row.settled == row.generation for row in rows), rows
            assert all(row.fault is None and row.pending_since is None for row in rows), rows
            assert sorted(told[table]) == sorted(row.id for row in rows)

    def gone(self, root: str) -> None:
        """Wait until a load balancer is DELETED; nothing of it is left."""
        self.rig.deleted(root)
        for table in objects.CHILDREN:
            assert self.rows(table, table.c.load_balancer_id == root) == []
        assert self.ports_of(root) == []
        assert self.call("GET", f"/loadbalancers/{root}") == 404

    @contextmanager
    def agent_is(self, state: str) -> Iterator[None]:
        """Have the agent `connected`, `away`, or `silent` about what it does; then connected."""
        if state == "away":
            self.rig.stop("agent")
        self.rig.agent.quiet = state == "silent"
        try:
            yield
        finally:
            if state == "away":
                self.rig.start_agent()
            if state == "silent":
                self.rig.agent.quiet = False
                self.rig.say()


@contextmanager
def house(kind: str, directory: Path) -> Iterator[House]:
    """Yield a running installation on an empty database."""
    with tables(kind, directory) as database:
        rig = Rig(directory, database, EmbeddedNetworks(database))
        rig.start()
        try:
            yield House(rig)
        finally:
            rig.close()
