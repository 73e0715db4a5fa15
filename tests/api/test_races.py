"""Several writers of one load balancer lose nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa

from statera.store.tables.objects import load_balancer, member
from statera.store.tables.work import work
from tests.api.harness import Api

WRITERS = 4


def _together(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run all of them at once and return what they return."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait(timeout=30)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, act) for act in acts]]


def _counts(api: Api) -> tuple[int, int]:
    with api.database.engine.connect() as connection:
        generation = connection.scalar(sa.select(load_balancer.c.generation))
        nudges = connection.scalar(sa.select(work.c.nudges))
    assert generation is not None
    assert nudges is not None
    return generation, nudges


def test_concurrent_writes_all_count(api: Api) -> None:
    """Each is one generation and one nudge, and each member is there."""
    root = api.load_balancer()["id"]
    pool = api.pool(root)["id"]
    generation, nudges = _counts(api)

    def writer(number: int) -> Callable[[], None]:
        def act() -> None:
            for step in range(10):
                api.member(pool, f"10.0.{number}.{step}")
                body = {"loadbalancer": {"name": f"{number}-{step}"}}
                assert api.call("PUT", f"/loadbalancers/{root}", body).status_code == 200

        return act

    _together([writer(number) for number in range(WRITERS)])
    assert _counts(api) == (generation + WRITERS * 20, nudges + WRITERS * 20)
    with api.database.engine.connect() as connection:
        born = connection.scalars(sa.select(member.c.born)).all()
    assert len(set(born)) == WRITERS * 10


def test_one_of_many_equal_creations_wins(api: Api) -> None:
    """One port, one address, one default pool, one monitor: the others are 409."""
    root = api.load_balancer()["id"]
    pool = api.pool(root)["id"]
    listener = {"loadbalancer_id": root, "protocol": "TCP", "protocol_port": 5}
    probe = {"pool_id": pool, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/listeners", {"listener": listener}),
        (f"/pools/{pool}/members", {"member": {"address": "10.0.0.1", "protocol_port": 1}}),
        ("/healthmonitors", {"healthmonitor": probe}),
    ]
    for path, body in asked:

        def act(path: str = path, body: dict[str, Any] = body) -> int:
            status: int = api.call("POST", path, body).status_code
            return status

        assert sorted(_together([act] * WRITERS)) == [201] + [409] * (WRITERS - 1)


def test_batches_and_single_writes_do_not_undo_each_other(api: Api) -> None:
    """Additive batches of four writers: every member is there at the end."""
    root = api.load_balancer()["id"]
    pool = api.pool(root)["id"]

    def writer(number: int) -> Callable[[], None]:
        def act() -> None:
            for step in range(5):
                members = [
                    {"address": f"10.{number}.{step}.{n}", "protocol_port": 80} for n in range(5)
                ]
                path = f"/pools/{pool}/members?additive_only=true"
                assert api.call("PUT", path, {"members": members}).status_code == 202

        return act

    _together([writer(number) for number in range(WRITERS)])
    assert len(api.get(f"/pools/{pool}/members")["members"]) == WRITERS * 25


def test_nothing_is_added_to_a_pool_that_was_deleted_meanwhile(api: Api) -> None:
    """A member is either deleted with its pool or refused."""
    root = api.load_balancer()["id"]
    pool = api.pool(root)["id"]

    def add(number: int) -> Callable[[], int]:
        def act() -> int:
            body = {"member": {"address": f"10.0.0.{number}", "protocol_port": 1}}
            status: int = api.call("POST", f"/pools/{pool}/members", body).status_code
            return status

        return act

    def delete() -> int:
        status: int = api.call("DELETE", f"/pools/{pool}").status_code
        return status

    results = _together([delete, *(add(number) for number in range(WRITERS))])
    assert results[0] == 204
    assert set(results[1:]) <= {201, 409}
    with api.database.engine.connect() as connection:
        living = connection.scalars(sa.select(member.c.id).where(member.c.live == 1)).all()
    assert living == []
