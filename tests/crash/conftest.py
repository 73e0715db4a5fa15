"""One installation with a balanced network for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.installation import Backend, Installation, eventually, installation
from tests.trees import http_tree


@dataclass
class Balanced:
    """A running installation with a load balancer that serves two backends."""

    here: Installation
    subnet_id: str
    backends: list[Backend]
    load_balancer: dict[str, Any]

    @property
    def address(self) -> str:
        """Return the VIP."""
        address: str = self.load_balancer["vip_address"]
        return address

    @property
    def pool_id(self) -> str:
        """Return the id of the one pool."""
        pool_id: str = self.load_balancer["pools"][0]["id"]
        return pool_id

    def members(self) -> list[dict[str, Any]]:
        """Return the members as the API shows them."""
        listed: list[dict[str, Any]] = self.here.call("GET", f"/pools/{self.pool_id}/members")[
            "members"
        ]
        return listed


@pytest.fixture(scope="module")
def balanced() -> Iterator[Balanced]:
    """Yield a load balancer with two backends that has answered its first request."""
    with installation() as here:
        network, subnet = here.network()
        backends = [Backend(here, network, name) for name in ("one", "two")]
        try:
            tree = http_tree(subnet, [backend.member() for backend in backends])
            created = here.call("POST", "/loadbalancers", tree)["loadbalancer"]
            here.settled(created["id"])
            made = Balanced(here, subnet, backends, created)
            eventually("first answer", lambda: answers(made.address))
            yield made
        finally:
            for backend in backends:
                backend.remove()


def answers(address: str, path: str = "/") -> str | None:
    """Return the body of a 200 from port 80 of `address`, or None."""

    reply = httpx.get(f"http://{address}{path}", timeout=2)
    return reply.text.strip() if reply.status_code == 200 else None
