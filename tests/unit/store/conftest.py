"""A fresh database with every table, on each kind that this machine has a server for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from statera.store.database import Database
from statera.store.schema import metadata
from tests.databases import KINDS, fresh_url

NEEDS = {"postgresql": ("psql", "psycopg"), "mariadb": ("mariadbd", "MySQLdb")}
"""Kind -> command and driver."""
PLACES = "/usr/sbin:/usr/bin:/usr/local/bin"


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a fresh, empty database."""
    kind: str = request.param
    if kind in NEEDS:
        command, driver = NEEDS[kind]
        if not shutil.which(command, path=PLACES) or find_spec(driver) is None:
            pytest.skip(f"no {kind} on this machine")
    return fresh_url(kind, tmp_path)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Yield a database with every table of the core."""
    made = Database(url)
    metadata.create_all(made.engine)
    yield made
    made.close()
