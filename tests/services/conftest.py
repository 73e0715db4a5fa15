"""A fresh database on each kind of server, with every table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from statera.store.database import Database
from statera.store.schema import metadata
from tests.databases import database_url  # noqa: F401 (a fixture)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:  # noqa: F811 (a parameter is its use)
    """Yield the database of a process."""
    made = Database(database_url, durable=False)
    metadata.create_all(made.engine)
    yield made
    made.close()
