"""What the API works with: the store, the edges, the options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from sqlalchemy.engine import Connection

from statera.api.settings import ApiSettings
from statera.edges.identity.protocol import Identity
from statera.edges.keys.protocol import Keys
from statera.edges.network.protocol import Networks
from statera.lb.caller import Caller
from statera.lb.deployment import Deployment
from statera.lb.errors import InvalidInput
from statera.service.wake import WORK, Wakes
from statera.store.database import Database

T = TypeVar("T")


def _pass(_name: str) -> None:
    """Go on."""


@dataclass(frozen=True)
class ApiContext:
    """Everything that `create_app` needs.

    `checkpoint` is called where a crash must be harmless: `reserved` and `plugged` on the way of
    the creation of a load balancer.
    """

    database: Database
    identity: Identity
    networks: Networks
    keys: Keys
    wakes: Wakes
    settings: ApiSettings
    checkpoint: Callable[[str], None] = _pass

    @cached_property
    def deployment(self) -> Deployment:
        """What rules depend on."""
        return self.settings.deployment()

    @property
    def ceiling(self) -> float:
        """Seconds after which a pending wish shows as ERROR."""
        return self.settings.pending_ceiling

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a wish in a transaction and wake the workers."""
        result = self.database.write(work)
        self.wakes.send(WORK)
        return result

    def looker(self, caller: Caller) -> Caller | None:
        """Return as whom things outside are looked up: the caller, or the service itself."""
        return None if self.settings.allow_invisible_resource_usage else caller

    def refuse_unreadable(self, references: Iterable[str], caller: Caller) -> None:
        """Raise `InvalidInput` for a certificate reference that the caller cannot read."""
        for reference in references:
            if not self.keys.readable(reference, caller):
                raise InvalidInput(f"Could not retrieve certificate: {reference}")

    def refuse_invisible_subnets(self, subnets: Iterable[str], caller: Caller) -> None:
        """Raise `InvalidInput` for a subnet that the caller cannot see."""
        for subnet_id in subnets:
            if self.networks.subnet(subnet_id, self.looker(caller)) is None:
                raise InvalidInput(f"Subnet {subnet_id} not found.")
