"""Operating statuses from reports (`api-behaviour` §1.5, `status-and-drivers` §8.3)."""

from __future__ import annotations

from typing import Any

import pytest

from statera.lb.operating import Health, Watched, changes
from tests.unit.plan.rows import listener, load_balancer, member, pool


def world(**more: Any) -> Watched:
    """Return a settled load balancer `b` with listener `l`, pool `p`, members `m` and `n`."""
    members = (
        member("p", id="m", operating_status=more.get("m", "OFFLINE"), weight=more.get("w", 1)),
        member("p", id="n", operating_status=more.get("n", "OFFLINE")),
    )
    up = more.get("up", True)
    balancer = load_balancer(settled=more.get("settled", 1), id="b", admin_state_up=up)
    door = listener(id="l", admin_state_up=more.get("open", True), born=more.get("born", 1))
    return Watched(balancer, (door,), (pool(id="p"),), members)


def after(watched: Watched, health: Health) -> str:
    """Return the statuses of b, l, p, m, n in words."""
    rows: list[Any] = [watched.load_balancer, *watched.listeners, *watched.pools, *watched.members]
    changed = changes(watched, health)
    return " ".join(changed.get(row.id, row.operating_status) for row in rows)


def health(door: str | None, pool_: str | None, m: str | None, n: str | None) -> Health:
    def named(**values: str | None) -> dict[str, str]:
        return {key: value for key, value in values.items() if value}

    return Health(1, named(l=door), named(p=pool_), named(m=m, n=n))


@pytest.mark.parametrize(
    ("given", "reported", "expected"),
    [
        ({}, ("OPEN", "UP", "UP", "UP"), "ONLINE ONLINE ONLINE ONLINE ONLINE"),
        ({}, ("FULL", "UP", "UP", "UP"), "DEGRADED DEGRADED ONLINE ONLINE ONLINE"),
        ({}, ("OPEN", "UP", "UP", "DOWN"), "DEGRADED ONLINE DEGRADED ONLINE ERROR"),
        ({}, ("OPEN", "DOWN", "DOWN", "DOWN"), "ERROR ONLINE ERROR ERROR ERROR"),
        ({}, ("OPEN", "UP", "UP", "DRAIN"), "ONLINE ONLINE ONLINE ONLINE DRAINING"),
        ({"w": 0}, ("OPEN", "UP", "UP", "UP"), "ONLINE ONLINE ONLINE DRAINING ONLINE"),
        ({"w": 0}, ("OPEN", "UP", "NO_CHECK", "UP"), "ONLINE ONLINE ONLINE DRAINING ONLINE"),
        ({}, ("OPEN", "UP", "UP", "MAINT"), "ONLINE ONLINE ONLINE ONLINE OFFLINE"),
        ({}, ("OPEN", "UP", "NO_CHECK", "NO_CHECK"), "ONLINE ONLINE ONLINE NO_MONITOR NO_MONITOR"),
        ({"m": "NO_MONITOR"}, ("OPEN", None, None, None),
         "ONLINE ONLINE OFFLINE NO_MONITOR OFFLINE"),
        ({"m": "ONLINE"}, ("OPEN", "UP", "RESTARTING", "UP"), "ONLINE ONLINE ONLINE ONLINE ONLINE"),
        ({}, (None, "UP", "UP", "UP"), "ONLINE ERROR ONLINE ONLINE ONLINE"),
        ({"settled": 0}, (None, "UP", "UP", "UP"), "ONLINE OFFLINE ONLINE ONLINE ONLINE"),
        ({"open": False}, (None, "UP", "UP", "UP"), "ONLINE OFFLINE ONLINE ONLINE ONLINE"),
        ({"born": 2}, (None, "UP", "UP", "UP"), "ONLINE OFFLINE ONLINE ONLINE ONLINE"),
        ({"up": False}, (None, None, None, None), "OFFLINE OFFLINE OFFLINE OFFLINE OFFLINE"),
        ({"up": False}, (None, "DOWN", "DOWN", "DOWN"), "ERROR OFFLINE ERROR ERROR ERROR"),
    ],
)  # fmt: skip
def test_statuses(given: dict[str, Any], reported: tuple[Any, ...], expected: str) -> None:
    """Load balancer, listener, pool and two members after one report."""
    assert after(world(**given), health(*reported)) == expected


def test_only_differences_are_told() -> None:
    """What is as it was is not written again."""
    same = world(m="ONLINE", n="ONLINE")
    assert changes(same, health("OPEN", "UP", "UP", "UP")).keys() == {"b", "l", "p"}


def test_the_doomed_keep_their_status() -> None:
    """An object that is being deleted neither changes nor counts."""
    gone = member("p", id="m", live=None, operating_status="ERROR")
    watched = world()
    rows = Watched(watched.load_balancer, watched.listeners, watched.pools, (gone,))
    assert after(rows, health("OPEN", "UP", None, None)) == "ONLINE ONLINE ONLINE ERROR"
