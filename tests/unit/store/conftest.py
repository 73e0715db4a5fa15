"""A fresh database with every table, on each kind that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.store.database import Database
from tests.databases import fresh_url, tables


@pytest.fixture
def url(database_kind: str, tmp_path: Path) -> str:
    """Return the URL of a fresh, empty database."""
    return fresh_url(database_kind, tmp_path)


@pytest.fixture
def database(database_kind: str, tmp_path: Path) -> Iterator[Database]:
    """Yield a database with every table."""
    with tables(database_kind, tmp_path) as made:
        yield made
