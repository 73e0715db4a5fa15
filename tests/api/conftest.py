"""The API over an empty database, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.api.settings import ApiSettings
from statera.store.database import Database
from statera.store.schema import metadata
from tests.api.harness import Api, running_api


@pytest.fixture(name="settings")
def settings_fixture() -> ApiSettings:
    """Options of the API under test; tests override this fixture."""
    return ApiSettings(www_authenticate_uri="http://identity.example/v3")


@pytest.fixture(name="empty", scope="session")
def empty_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables and no rows: copying it is faster than making one."""
    path = tmp_path_factory.mktemp("empty") / "api.db"
    database = Database(f"sqlite:///{path}", durable=False)
    metadata.create_all(database.engine)
    database.close()
    return path


@pytest.fixture(name="api")
def api_fixture(tmp_path: Path, empty: Path, settings: ApiSettings) -> Iterator[Api]:
    """The API over an empty database."""
    with running_api(empty, tmp_path, settings) as api:
        yield api
