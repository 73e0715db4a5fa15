"""The provisioning status is one function in Python and in SQL; columns match declarations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from statera.lb.declare import attributes, stored
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.load_balancer import LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.lb.statuses import PROVISIONING, provisioning_status
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
SMALL = st.integers(0, 3)
ROWS = st.fixed_dictionaries(
    {
        "generation": SMALL,
        "born": SMALL,
        "settled": SMALL,
        "pending_since": st.sampled_from([None, NOW, NOW - 599, NOW - 600, NOW - 601]),
        "live": st.sampled_from([1, None]),
        "fault_generation": st.sampled_from([None, 0, 1, 2, 3]),
    }
)


@pytest.fixture(name="connection", scope="module")
def connection_fixture() -> Iterator[sa.Connection]:
    """A database of its own, in memory."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@given(row=ROWS)
def test_python_and_sql_agree(connection: sa.Connection, row: dict[str, Any]) -> None:
    """For every combination of generations, age, life and fault."""
    c = load_balancer.c
    columns = [sa.literal(value, c[name].type).label(name) for name, value in row.items()]
    table = sa.select(*columns).subquery()
    found = connection.execute(sa.select(table, in_sql(table, CEILING, NOW).label("status"))).one()
    assert found.status == provisioning_status(found, NOW, CEILING)
    assert found.status in PROVISIONING


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
