"""What the resources of the embedded identity share."""

from __future__ import annotations

from dataclasses import dataclass

from statera.cloud.identity.catalogue import Catalog
from statera.cloud.identity.passwords import Passwords
from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.throttle import Throttle
from statera.cloud.identity.tokens import Tokens
from statera.store.database import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each, made once for a process."""

    database: Database
    settings: IdentitySettings
    catalog: Catalog
    tokens: Tokens
    passwords: Passwords
    throttle: Throttle

    @classmethod
    def of(cls, database: Database, settings: IdentitySettings) -> Parts:
        """Return the parts for a database."""
        return cls(
            database,
            settings,
            Catalog.of(settings),
            Tokens(database, settings),
            Passwords(settings),
            Throttle(settings),
        )
