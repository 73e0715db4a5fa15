"""A small installation in a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.cloud.identity.installation import bootstrap
from statera.cloud.identity.settings import IdentitySettings
from statera.store.database import Database
from statera.store.schema import metadata


@pytest.fixture
def settings() -> IdentitySettings:
    """Settings with hashes that cost little."""
    return IdentitySettings(argon2_time=1, argon2_memory=8, token_lifetime=600, key_lifetime=6000)


@pytest.fixture
def database(tmp_path: Path, settings: IdentitySettings) -> Iterator[Database]:
    """A database with the first user."""
    database = Database(f"sqlite:///{tmp_path}/identity.db", durable=False)
    metadata.create_all(database.engine)
    bootstrap(database, settings, "first password")
    yield database
    database.close()
