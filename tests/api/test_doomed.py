"""What is being deleted: shown, refusing writes and children, counting for no rule (design §4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statera.lb.statuses import PENDING_DELETE
from statera.store.tables.objects import CHILDREN, load_balancer
from tests.api.harness import Api
from tests.api.worlds import World

ROOT = "/loadbalancers/{root}"
LISTENER = "/listeners/{listener}"
POOL = "/pools/{pool}"
MEMBER = "/pools/{pool}/members/{member}"
MEMBERS = "/pools/{pool}/members"
MONITOR = "/healthmonitors/{monitor}"


@pytest.fixture(name="world")
def world_fixture(api: Api) -> World:
    """A settled world."""
    return World(api)


NEW = {"protocol": "TCP"}
Body = Callable[[World], dict[str, Any]]
UNDER_ROOT: dict[str, tuple[str, str, Body | None]] = {
    "listener create": (
        "POST",
        "/listeners",
        lambda w: {"listener": {**NEW, "loadbalancer_id": w.root, "protocol_port": 9}},
    ),
    "listener update": ("PUT", LISTENER, lambda _: {"listener": {}}),
    "listener delete": ("DELETE", LISTENER, None),
    "pool create": (
        "POST",
        "/pools",
        lambda w: {"pool": {**NEW, "loadbalancer_id": w.root, "lb_algorithm": "SOURCE_IP"}},
    ),
    "pool delete": ("DELETE", POOL, None),
    "member create": (
        "POST",
        MEMBERS,
        lambda _: {"member": {"address": "10.0.0.7", "protocol_port": 7}},
    ),
    "member update": ("PUT", MEMBER, lambda _: {"member": {}}),
    "member batch": ("PUT", MEMBERS, lambda _: {"members": []}),
    "health monitor delete": ("DELETE", MONITOR, None),
}


@pytest.mark.parametrize("case", UNDER_ROOT)
def test_nothing_is_written_under_a_load_balancer_being_deleted(world: World, case: str) -> None:
    """409; nothing changes."""
    world.delete(f"/loadbalancers/{world.root}?cascade=true")
    before = world.api.snapshot()
    method, path, body = UNDER_ROOT[case]
    result = world.api.call(method, world.filled(path), body and body(world))
    text = f"Load Balancer {world.root} is immutable and cannot be updated."
    assert (result.status_code, result.json["faultstring"]) == (409, text)
    assert world.api.snapshot() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", ROOT, {"loadbalancer": {}}), ("DELETE", f"{ROOT}?cascade=1", None)],
)
def test_a_load_balancer_being_deleted_refuses_writes(
    world: World, method: str, path: str, body: Any
) -> None:
    """409 in the words of its own calls; it is still shown."""
    world.delete(f"/loadbalancers/{world.root}?cascade=true")
    result = world.api.call(method, world.filled(path), body)
    text = f"Invalid state PENDING_DELETE of loadbalancer resource {world.root}"
    assert (result.status_code, result.json["faultstring"]) == (409, text)
    assert world.statuses() == {"root": PENDING_DELETE}


@pytest.mark.parametrize(
    ("doom", "method", "path", "body", "title", "name"),
    [
        (LISTENER, "PUT", LISTENER, {"listener": {}}, "Listener", "listener"),
        (LISTENER, "DELETE", LISTENER, None, "Listener", "listener"),
        (POOL, "PUT", POOL, {"pool": {}}, "Pool", "pool"),
        (POOL, "PUT", MEMBER, {"member": {}}, "Pool", "pool"),
        (POOL, "PUT", MEMBERS, {"members": []}, "Pool", "pool"),
        (POOL, "DELETE", MONITOR, None, "Health Monitor", "monitor"),
        (MEMBER, "PUT", MEMBER, {"member": {}}, "Member", "member"),
        (MEMBER, "DELETE", MEMBER, None, "Member", "member"),
        (MONITOR, "PUT", MONITOR, {"healthmonitor": {}}, "Health Monitor", "monitor"),
    ],
)
def test_objects_being_deleted_refuse_writes(
    world: World, doom: str, method: str, path: str, body: Any, title: str, name: str
) -> None:
    """409 naming what is being deleted."""
    world.delete(world.filled(doom))
    result = world.api.call(method, world.filled(path), body)
    text = f"{title} {getattr(world, name)} is immutable and cannot be updated."
    assert (result.status_code, result.json["faultstring"]) == (409, text)


@pytest.mark.parametrize(
    "path",
    [
        f"{ROOT}?cascade=true",
        LISTENER,
        POOL,
        MEMBER,
        MONITOR,
    ],
)
def test_a_deletion_in_error_can_be_asked_for_again(world: World, path: str) -> None:
    """204, with or without cascade, and the deletion is pending again."""
    world.delete(world.filled(path))
    with world.api.database.engine.begin() as connection:
        for table in (load_balancer, *CHILDREN):
            doomed = table.update().where(table.c.live.is_(None))
            connection.execute(doomed.values(fault="no", fault_generation=table.c.generation))
    key = path.partition("?")[0].rpartition("{")[2][:-1]
    assert world.statuses()[key] == "ERROR"
    world.delete(world.filled(path.partition("?")[0]))
    assert world.statuses()[key] == PENDING_DELETE


def test_doomed_objects_count_for_no_rule(world: World) -> None:
    """Their ports, addresses and places are free at once; a load balancer has no more children."""
    api = world.api
    for path in (MONITOR, MEMBER):
        world.delete(world.filled(path))
    api.monitor(world.pool)
    api.member(world.pool)
    world.delete(f"/listeners/{world.listener}")
    api.pool(None, listener_id=api.listener(world.root)["id"])
    root = api.load_balancer()["id"]
    lonely = api.listener(root)["id"]
    world.delete(f"/listeners/{lonely}")
    world.delete(f"/loadbalancers/{root}")
