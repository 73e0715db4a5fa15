"""The API over an empty database, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.api.settings import ApiSettings
from statera.store.database import Database
from statera.store.schema import metadata
from tests.api.harness import Api, api_over, running_api
from tests.databases import database_url  # noqa: F401 (a fixture)


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


@pytest.fixture(name="everywhere")
def everywhere_fixture(
    database_url: str,  # noqa: F811 (a parameter is its use)
    tmp_path: Path,
    settings: ApiSettings,
) -> Iterator[Api]:
    """The API over an empty database, on each of the three kinds."""
    database = Database(database_url, durable=False)
    metadata.create_all(database.engine)
    database.close()
    with api_over(database_url, tmp_path, settings) as api:
        yield api
