"""What each write stamps, at the moment the API answers (`spec/api-behaviour` §1.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from statera.lb.statuses import PENDING_CREATE, PENDING_DELETE, PENDING_UPDATE
from statera.store.tables.objects import CHILDREN, load_balancer
from statera.store.tables.work import work
from tests.api.harness import Api
from tests.api.worlds import World


@pytest.fixture(name="world")
def world_fixture(api: Api) -> World:
    """A settled world."""
    return World(api)


PU, PC, PD = PENDING_UPDATE, PENDING_CREATE, PENDING_DELETE
PARENTS = {"root": PU, "listener": PU, "pool": PU}

CALLS: dict[str, tuple[Callable[[World], Any], dict[str, str]]] = {
    "load balancer update": (
        lambda w: w.put(f"/loadbalancers/{w.root}", {"loadbalancer": {"name": "x"}}),
        {"root": PU},
    ),
    "load balancer cascade delete": (
        lambda w: w.delete(f"/loadbalancers/{w.root}?cascade=true"),
        {"root": PD},
    ),
    "listener create": (
        lambda w: w.api.listener(w.root, protocol_port=90),
        {"root": PU, "new": PC},
    ),
    "listener update": (
        lambda w: w.put(f"/listeners/{w.listener}", {"listener": {"name": "x"}}),
        {"root": PU, "listener": PU},
    ),
    "listener delete": (
        lambda w: w.delete(f"/listeners/{w.listener}"),
        {"root": PU, "listener": PD},
    ),
    "pool create": (lambda w: w.api.pool(w.root), {"root": PU, "new": PC}),
    "pool create for a listener": (
        lambda w: w.api.pool(None, listener_id=w.other),
        {"root": PU, "other": PU, "new": PC},
    ),
    "pool update": (
        lambda w: w.put(f"/pools/{w.pool}", {"pool": {"name": "x"}}),
        PARENTS,
    ),
    "update of a pool that nobody uses": (
        lambda w: w.put(f"/pools/{w.free}", {"pool": {"name": "x"}}),
        {"root": PU, "free": PU},
    ),
    "pool delete": (
        lambda w: w.delete(f"/pools/{w.pool}"),
        {"root": PU, "listener": PU, "pool": PD, "member": PD, "monitor": PD},
    ),
    "member create": (lambda w: w.api.member(w.pool, "10.9.0.2"), {**PARENTS, "new": PC}),
    "member update": (
        lambda w: w.put(f"/pools/{w.pool}/members/{w.member}", {"member": {"weight": 2}}),
        {**PARENTS, "member": PU},
    ),
    "member delete": (
        lambda w: w.delete(f"/pools/{w.pool}/members/{w.member}"),
        {**PARENTS, "member": PD},
    ),
    "member batch": (
        lambda w: w.put(
            f"/pools/{w.pool}/members", {"members": [{"address": "10.9.0.7", "protocol_port": 1}]}
        ),
        {**PARENTS, "member": PD, "new": PC},
    ),
    "batch that names a member again": (
        lambda w: w.put(
            f"/pools/{w.pool}/members", {"members": [{"address": "10.9.0.1", "protocol_port": 80}]}
        ),
        {**PARENTS, "member": PU},
    ),
    "empty batch on an empty pool": (
        lambda w: w.put(f"/pools/{w.free}/members", {"members": []}),
        {},
    ),
    "health monitor create": (
        lambda w: w.api.monitor(w.free),
        {"root": PU, "free": PU, "new": PC},
    ),
    "health monitor update": (
        lambda w: w.put(f"/healthmonitors/{w.monitor}", {"healthmonitor": {"delay": 9}}),
        {**PARENTS, "monitor": PU},
    ),
    "health monitor delete": (
        lambda w: w.delete(f"/healthmonitors/{w.monitor}"),
        {**PARENTS, "monitor": PD},
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_each_call_stamps_what_the_table_says(world: World, call: str) -> None:
    """Everything else stays ACTIVE."""
    act, expected = CALLS[call]
    act(world)
    assert world.statuses() == expected


@pytest.mark.parametrize("call", [name for name in CALLS if "empty" not in name])
def test_each_call_is_one_generation_and_one_nudge(world: World, call: str) -> None:
    """The load balancer's counter and the work row move together."""

    def state() -> tuple[int, int]:
        with world.api.database.engine.connect() as connection:
            generation = connection.scalar(sa.select(load_balancer.c.generation))
            nudges = connection.scalar(sa.select(work.c.nudges).where(work.c.due_at.is_not(None)))
        assert generation is not None
        assert nudges is not None
        return generation, nudges

    before = state()
    CALLS[call][0](world)
    assert state() == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("call", [n for n in CALLS if "delete" not in n and "empty" not in n])
def test_writes_are_accepted_while_others_are_pending(world: World, call: str) -> None:
    """Nothing is settled in between, and every call is a newer wish."""
    world.put(f"/loadbalancers/{world.root}", {"loadbalancer": {"name": "busy"}})
    world.put(f"/listeners/{world.listener}", {"listener": {"name": "busy"}})
    world.put(f"/pools/{world.pool}", {"pool": {"name": "busy"}})
    CALLS[call][0](world)
    assert world.statuses().items() >= CALLS[call][1].items()


def _row(world: World, table: sa.Table, key: str) -> Any:
    with world.api.database.engine.connect() as connection:
        return connection.execute(sa.select(table).where(table.c.id == key)).one()


def test_only_the_object_itself_counts_as_changed(world: World) -> None:
    """A member's change is no change of its pool, listener or load balancer."""
    listener, pool, member, _ = CHILDREN
    before = {t.name: _row(world, t, k).changed for t, k in _above(world)}
    CALLS["member update"][0](world)
    assert {t.name: _row(world, t, k).changed for t, k in _above(world)} == before
    row, root = _row(world, member, world.member), _row(world, load_balancer, world.root)
    assert row.changed == row.generation == root.generation
    assert _row(world, pool, world.pool).generation == root.generation
    assert _row(world, listener, world.listener).generation == root.generation


def _above(world: World) -> list[tuple[sa.Table, str]]:
    listener, pool, *_ = CHILDREN
    ids = (world.root, world.listener, world.pool)
    return list(zip((load_balancer, listener, pool), ids, strict=True))


def test_the_oldest_pending_wish_sets_the_age(world: World) -> None:
    """`pending_since` is set once and kept by later wishes."""
    CALLS["pool update"][0](world)
    first = _row(world, load_balancer, world.root).pending_since
    CALLS["pool update"][0](world)
    assert first is not None
    assert _row(world, load_balancer, world.root).pending_since == first


def test_a_wish_pending_for_too_long_shows_as_an_error(world: World) -> None:
    """And writes are accepted all the same."""
    CALLS["pool update"][0](world)
    with world.api.database.engine.begin() as connection:
        past = load_balancer.c.pending_since - 3600
        connection.execute(load_balancer.update().values(pending_since=past))
    assert world.statuses()["root"] == "ERROR"
    found = world.api.get("/loadbalancers?provisioning_status=ERROR")["loadbalancers"]
    assert [one["id"] for one in found] == [world.root]
    CALLS["listener update"][0](world)


def test_updated_at_is_null_until_the_first_change(api: Api) -> None:
    """And is set by every change of the row."""
    made = api.load_balancer()
    assert made["updated_at"] is None
    api.listener(made["id"])
    shown = api.get(f"/loadbalancers/{made['id']}")["loadbalancer"]
    assert shown["updated_at"] >= made["created_at"]
