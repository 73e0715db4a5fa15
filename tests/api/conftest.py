"""The API over an empty database, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.api.settings import ApiSettings
from tests.api.harness import Api, running_api


@pytest.fixture(name="settings")
def settings_fixture() -> ApiSettings:
    """Options of the API under test; tests override this fixture."""
    return ApiSettings(www_authenticate_uri="http://identity.example/v3")


@pytest.fixture(name="api")
def api_fixture(tmp_path: Path, database_kind: str, settings: ApiSettings) -> Iterator[Api]:
    """The API over an empty database."""
    with running_api(database_kind, tmp_path, settings) as api:
        yield api
