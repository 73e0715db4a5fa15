"""The provisioning status is one function in Python and in SQL; columns match declarations."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from statera.lb.declare import attributes, stored
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.load_balancer import LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.lb.statuses import DELETED, PROVISIONING, provisioning_status
from statera.store.statuses import provisioning_status as in_sql
from statera.store.tables.objects import (
    CHILDREN,
    health_monitor,
    listener,
    load_balancer,
    member,
    pool,
)

NOW, CEILING = 1_000_000.0, 600.0
SMALL = range(4)
VALUES: dict[str, Sequence[object]] = {
    "generation": SMALL,
    "born": SMALL,
    "settled": SMALL,
    "pending_since": (None, NOW + 5, NOW, NOW - 599, NOW - 600, NOW - 601),
    "live": (1, None),
    "fault_generation": (None, *SMALL),
}


def test_python_and_sql_agree(tmp_path: Path) -> None:
    """For every combination of generations, age, life and fault."""
    c = load_balancer.c
    table = sa.Table("every", sa.MetaData(), *(sa.Column(name, c[name].type) for name in VALUES))
    rows = [dict(zip(VALUES, each, strict=True)) for each in itertools.product(*VALUES.values())]
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'every.db'}")
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), rows)
        query = sa.select(table, in_sql(table, CEILING, NOW).label("status"))
        found = connection.execute(query).all()
    engine.dispose()
    wrong = [row for row in found if row.status != provisioning_status(row, NOW, CEILING)]
    assert len(found) == len(rows)
    assert wrong == []
    assert {row.status for row in found} == set(PROVISIONING) - {DELETED}


@pytest.mark.parametrize(
    ("declared", "table"),
    [
        (LoadBalancer, load_balancer),
        (Listener, listener),
        (Pool, pool),
        (Member, member),
        (HealthMonitor, health_monitor),
    ],
)
def test_every_stored_attribute_has_its_column(declared: type[Any], table: sa.Table) -> None:
    """And every column is an attribute or a field of the class."""
    assert set(stored(declared)) <= set(table.columns.keys())
    fields = {"load_balancer_id", "port_space", "deleted_at"}
    fields |= {*declared.__struct_fields__, *attributes(declared)}
    assert set(table.columns.keys()) <= fields


def test_children_are_known() -> None:
    """The tables of what stands under a load balancer."""
    assert set(CHILDREN) == {listener, pool, member, health_monitor}
