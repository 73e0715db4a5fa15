"""A settled load balancer with something of everything under it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from statera.lb.statuses import ACTIVE
from statera.store.tables.objects import CHILDREN, load_balancer
from tests.api.harness import Api


class World:
    """A settled load balancer: one listener with a pool, one pool that nobody uses."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.root = api.load_balancer()["id"]
        self.listener = api.listener(self.root)["id"]
        self.other = api.listener(self.root, protocol_port=81)["id"]
        self.pool = api.pool(None, listener_id=self.listener)["id"]
        self.free = api.pool(self.root)["id"]
        self.member = api.member(self.pool)["id"]
        self.monitor = api.monitor(self.pool)["id"]
        api.settle()

    def put(self, path: str, body: dict[str, Any]) -> None:
        """Send a PUT that must be accepted."""
        assert self.api.call("PUT", path, body).status_code in (200, 202)

    def delete(self, path: str) -> None:
        """Send a DELETE that must be accepted."""
        assert self.api.call("DELETE", path).status_code == 204

    def filled(self, text: str) -> str:
        """Return a text with `{name}` replaced by the ids of this world."""
        for name, value in vars(self).items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def statuses(self) -> dict[str, str]:
        """Return the status of everything that is not ACTIVE, by the names of this class."""
        names = {getattr(self, name): name for name in vars(self) if name != "api"}
        found = {}
        with self.api.database.engine.connect() as connection:
            for table in (load_balancer, *CHILDREN):
                ids = connection.scalars(sa.select(table.c.id)).all()
                for key in ids:
                    path = f"/{_PLURAL[table.name].format(pool=self.pool)}/{key}"
                    (shown,) = self.api.get(path).values()
                    found[names.get(key, "new")] = shown["provisioning_status"]
        return {name: status for name, status in found.items() if status != ACTIVE}


_PLURAL = {
    "load_balancer": "loadbalancers",
    "listener": "listeners",
    "pool": "pools",
    "member": "pools/{pool}/members",
    "health_monitor": "healthmonitors",
}
