"""The chain of migrations and what it makes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from statera.store import migrations, upgrade
from statera.store.database import Database
from statera.store.schema import metadata


def test_the_chain_makes_the_tables(url: str) -> None:
    """Every table, column, type, key and index of the metadata, and nothing else."""
    assert upgrade.upgrade(url)
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            options = {"compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, metadata) == []
            assert unique_keys(connection) == {
                (table.name, tuple(sorted(key.columns.keys())))
                for table in metadata.tables.values()
                for key in table.constraints
                if isinstance(key, sa.UniqueConstraint)
            }
    finally:
        database.close()


def unique_keys(connection: sa.Connection) -> set[tuple[str, tuple[Any, ...]]]:
    inspector = sa.inspect(connection)
    return {
        (table, tuple(sorted(key["column_names"], key=str)))
        for table in inspector.get_table_names()
        for key in inspector.get_unique_constraints(table)
    }


def test_upgrading_again_does_nothing(url: str) -> None:
    """The second call finds the newest schema."""
    assert upgrade.upgrade(url)
    assert not upgrade.upgrade(url)


def test_upgrades_that_start_together_wait_for_each_other(url: str) -> None:
    """One of them does the work, all of them succeed."""
    results: list[bool | BaseException] = []

    def run() -> None:
        try:
            results.append(upgrade.upgrade(url))
        except BaseException as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["False", "False", "False", "True"]


def test_an_unknown_schema_is_refused(url: str) -> None:
    """A database of a newer release is left alone, and the error says what to do."""
    upgrade.upgrade(url)
    database = Database(url)
    database.write(lambda c: c.execute(sa.text("update alembic_version set version_num = '9999'")))
    database.close()
    with pytest.raises(upgrade.UnknownSchemaError, match="9999"):
        upgrade.upgrade(url)


def test_the_head_is_the_newest_revision() -> None:
    """The constant that saves loading the chain is right."""
    folder = migrations.__path__[0]
    script = ScriptDirectory(folder, version_locations=[folder])
    assert script.get_heads() == [upgrade.HEAD]
