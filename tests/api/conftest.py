"""The API over an empty database, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.api.context import ApiContext
from statera.api.settings import ApiSettings
from statera.service.wake import Wakes
from statera.store.database import Database
from statera.store.schema import metadata
from tests.api.harness import Api, MemoryIdentity, MemoryNetworks, NoKeys


@pytest.fixture(name="settings")
def settings_fixture() -> ApiSettings:
    """Options of the API under test; tests override this fixture."""
    return ApiSettings(www_authenticate_uri="http://identity.example/v3")


@pytest.fixture(name="api")
def api_fixture(tmp_path: Path, settings: ApiSettings) -> Iterator[Api]:
    """The API over an empty database."""
    database = Database(f"sqlite:///{tmp_path / 'api.db'}", durable=False)
    metadata.create_all(database.engine)
    networks = MemoryNetworks()
    wakes = Wakes(tmp_path / "run")
    context = ApiContext(database, MemoryIdentity(), networks, NoKeys(), wakes, settings)
    yield Api(context, networks)
    database.close()
