"""The embedded compute service: which machine an amphora goes to."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from statera.cloud.machines import MachinesCompute
from statera.edges.compute.protocol import Compute, Placement
from statera.lb.errors import Retryable
from statera.store.database import Database
from statera.store.schema import metadata
from statera.store.tables.placement import amphora, machine


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/machines.db", durable=False)
    metadata.create_all(found.engine)
    yield found
    found.close()


def add_machine(database: Database, machine_id: str, *, connected: bool = True) -> None:
    values = {"peer": "uid 0", "host": "h", "abilities": [], "occupied": [], "changed_at": 0.0}
    row = values | {"id": machine_id, "connected": connected, "unknown": 0, "ahead": 0}
    database.write(lambda c: c.execute(sa.insert(machine).values(**row)))


def add_amphora(
    database: Database, amphora_id: str, machine_id: str | None, status: str = "ALLOCATED"
) -> None:
    row: dict[str, Any] = {
        "id": amphora_id,
        "load_balancer_id": "lb",
        "machine_id": machine_id,
        "status": status,
        "role": "STANDALONE",
        "born": 1,
        "ports": {},
        "created_at": datetime.datetime(2024, 1, 1),
    }
    database.write(lambda c: c.execute(sa.insert(amphora).values(**row)))


def test_no_machine(database: Database) -> None:
    """Without a connected machine the placement is tried again."""
    add_machine(database, "away", connected=False)
    compute: Compute = MachinesCompute(database)
    with pytest.raises(Retryable, match="no machine is connected"):
        compute.place("a", "lb")


def test_fewest_amphorae(database: Database) -> None:
    """An amphora goes to the connected machine with the fewest; deleted ones do not count."""
    add_machine(database, "full")
    add_machine(database, "idle")
    add_machine(database, "away", connected=False)
    add_amphora(database, "1", "full")
    add_amphora(database, "2", "full")
    add_amphora(database, "3", "idle")
    for number in range(4, 8):
        add_amphora(database, str(number), "idle", "DELETED")
    compute = MachinesCompute(database)
    assert compute.place("new", "lb") == Placement("idle")
    compute.release("new")


def test_placed_stays_placed(database: Database) -> None:
    """Asking again for an amphora that has a machine gives that machine."""
    add_machine(database, "one")
    add_machine(database, "two")
    add_amphora(database, "a", "two")
    add_amphora(database, "b", None)
    compute = MachinesCompute(database)
    assert compute.place("a", "lb") == Placement("two")
    assert compute.place("b", "lb") == Placement("one")
