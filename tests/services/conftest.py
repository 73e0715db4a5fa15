"""A database with every table, on each of the three."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.store.database import Database
from tests.databases import ALL, tables


@pytest.fixture(params=ALL, scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    """Return on which database the test is to run."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def database(database_kind: str, tmp_path: Path) -> Iterator[Database]:
    """Yield the database of a process."""
    with tables(database_kind, tmp_path) as made:
        yield made
