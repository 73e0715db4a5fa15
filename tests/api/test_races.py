"""Several writers of one load balancer lose nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from statera.store.tables.objects import CHILDREN, listener, load_balancer, member
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


def _status(api: Api, method: str, path: str, body: object = None) -> Callable[[], int]:
    def act() -> int:
        status: int = api.call(method, path, body).status_code
        return status

    return act


def test_a_load_balancer_is_deleted_or_gets_children(api: Api) -> None:
    """Without cascade it is never deleted with something under it."""
    for _ in range(5):
        root = api.load_balancer()["id"]
        new = {"loadbalancer_id": root, "protocol": "TCP", "protocol_port": 5}
        deleted, made = _together(
            [
                _status(api, "DELETE", f"/loadbalancers/{root}"),
                _status(api, "POST", "/listeners", {"listener": new}),
            ]
        )
        assert (deleted, made) in {(204, 409), (400, 201)}


def test_no_listener_keeps_a_pool_that_is_deleted(api: Api) -> None:
    """It is either refused or detached again."""
    root = api.load_balancer()["id"]
    for port in range(1, 6):
        mine = api.listener(root, protocol_port=port)["id"]
        pool = api.pool(root)["id"]
        new = {"loadbalancer_id": root, "protocol": "HTTP", "protocol_port": 100 + port}
        deleted, *others = _together(
            [
                _status(api, "DELETE", f"/pools/{pool}"),
                _status(api, "PUT", f"/listeners/{mine}", {"listener": {"default_pool_id": pool}}),
                _status(api, "POST", "/listeners", {"listener": {**new, "default_pool_id": pool}}),
            ]
        )
        assert deleted == 204
        assert set(others) <= {200, 201, 409}
    with api.database.engine.connect() as connection:
        assert set(connection.scalars(sa.select(listener.c.default_pool_id))) == {None}


def test_one_of_two_whole_batches_is_the_last(api: Api) -> None:
    """The members are those of one batch, never a mixture."""
    root = api.load_balancer()["id"]
    pool = api.pool(root)["id"]

    def batch(number: int) -> dict[str, Any]:
        return {
            "members": [{"address": f"10.{number}.0.{n}", "protocol_port": 80} for n in range(20)]
        }

    for _ in range(3):
        path = f"/pools/{pool}/members"
        acts = [_status(api, "PUT", path, batch(number)) for number in range(WRITERS)]
        assert _together(acts) == [202] * WRITERS
        with api.database.engine.connect() as connection:
            living = connection.scalars(sa.select(member.c.address).where(member.c.live == 1)).all()
        assert len(living) == 20
        assert len({address.split(".")[1] for address in living}) == 1


def test_writers_of_many_load_balancers_do_not_stop_each_other(api: Api) -> None:
    """Whatever they do at once, nobody is refused, and nothing fails."""
    roots = [api.load_balancer()["id"] for _ in range(WRITERS)]

    def live(root: str) -> Callable[[], None]:
        def act() -> None:
            for _ in range(3):
                entry = api.listener(root)["id"]
                pool = api.pool(None, listener_id=entry)["id"]
                members = [{"address": f"10.0.0.{n}", "protocol_port": 80} for n in range(20)]
                path = f"/pools/{pool}/members"
                assert _status(api, "PUT", path, {"members": members})() == 202
                api.monitor(pool)
                assert _status(api, "DELETE", f"/pools/{pool}")() == 204
                assert _status(api, "DELETE", f"/listeners/{entry}")() == 204

        return act

    _together([live(root) for root in roots])
    with api.database.engine.connect() as connection:
        for table in CHILDREN:
            assert connection.scalars(sa.select(table.c.id).where(table.c.live == 1)).all() == []


def test_a_status_tree_bears_what_is_created_while_it_is_read(api: Api) -> None:
    """A member of a pool that was not there yet when the pools were read."""
    root = api.load_balancer()["id"]
    read: list[str] = []

    def grow(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if " FROM pool" in statement.replace("\n", " ") and not read:
            read.append(statement)
            pool = api.pool(root)["id"]
            api.member(pool)
            api.monitor(pool)

    event.listen(sa.Engine, "after_cursor_execute", grow)
    try:
        shown = api.get(f"/loadbalancers/{root}/status")
    finally:
        event.remove(sa.Engine, "after_cursor_execute", grow)
    assert read
    assert shown["statuses"]["loadbalancer"]["listeners"] == []
