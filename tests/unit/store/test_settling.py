"""Settling, loading and burying, on rows."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from statera.spec.report import Fault
from statera.store import amphorae, settling, work
from statera.store.database import Database
from statera.store.desired import load, load_desired
from statera.store.tables import objects
from statera.store.tables.placement import amphora, counter
from statera.store.work import Claim, LeaseLost
from tests.unit.store import wishes


@pytest.fixture
def owner(database: Database) -> str:
    return wishes.create(database)


def claim(database: Database) -> Claim:
    (held,) = database.write(lambda c: work.claim(c, "worker", 30.0, 1))
    return held


def settle(database: Database, held: Claim, applied: int, *faults: Fault) -> None:
    database.write(lambda c: settling.settle(c, held, applied, faults))


def fault(kind: str, object_id: str, *, final: bool = True) -> Fault:
    return Fault(object_type=kind, object_id=object_id, text="refused", final=final)


def tags(database: Database) -> set[str]:
    return set(database.read(lambda c: list(c.scalars(sa.select(objects.tag.c.value)))))


def tag(database: Database, object_id: str, value: str) -> None:
    database.write(
        lambda c: c.execute(sa.insert(objects.tag).values(object_id=object_id, value=value))
    )


def test_rows_in_force_are_settled(database: Database, owner: str) -> None:
    """Up to the generation that is in force; a younger wish goes on ageing from now."""
    pool = wishes.add(database, owner, objects.pool)
    young = wishes.add(database, owner, objects.pool)
    settle(database, claim(database), 2)
    balancer = wishes.row(database, objects.load_balancer, owner)
    assert (balancer.generation, balancer.settled) == (3, 2)
    assert balancer.pending_since is not None
    done = wishes.row(database, objects.pool, pool)
    assert (done.settled, done.pending_since) == (2, None)
    assert wishes.row(database, objects.pool, young).settled == 0


def test_a_fault_stays_on_its_object(database: Database, owner: str) -> None:
    """A final one is of the object's generation; the next success clears it."""
    pool = wishes.add(database, owner, objects.pool)
    other = wishes.add(database, owner, objects.pool)
    held = claim(database)
    settle(database, held, 3, fault("pool", pool))
    bad = wishes.row(database, objects.pool, pool)
    assert (bad.fault, bad.fault_generation, bad.settled) == ("refused", 2, 2)
    assert wishes.row(database, objects.pool, other).fault is None
    assert wishes.row(database, objects.load_balancer, owner).fault is None
    settle(database, held, 3)
    assert wishes.row(database, objects.pool, pool).fault_generation is None


def test_a_retryable_fault_settles_nothing(database: Database, owner: str) -> None:
    """The object waits on, with the reason."""
    pool = wishes.add(database, owner, objects.pool)
    settle(database, claim(database), 2, fault("pool", pool, final=False))
    row = wishes.row(database, objects.pool, pool)
    assert (row.fault, row.fault_generation, row.settled) == ("refused", None, 0)
    assert row.pending_since is not None


def test_doomed_rows_go_with_their_tags(database: Database, owner: str) -> None:
    """Only when their deletion is in force."""
    pool = wishes.add(database, owner, objects.pool)
    tag(database, pool, "red")
    tag(database, owner, "blue")
    wishes.change(database, owner, objects.pool, pool, live=None)
    held = claim(database)
    settle(database, held, 2)
    assert wishes.row(database, objects.pool, pool) is not None
    settle(database, held, 3)
    assert wishes.row(database, objects.pool, pool) is None
    assert tags(database) == {"blue"}


def test_counters_go_with_their_listener(database: Database, owner: str) -> None:
    """A listener that is gone leaves no statistics."""
    door = wishes.add(database, owner, objects.listener)
    row = {"object_id": door, "amphora_id": "a", "load_balancer_id": owner, "epoch": 1, "last": {}}
    numbers = ("bytes_in", "bytes_out", "total_connections", "request_errors")
    values = {**row, **dict.fromkeys(numbers, 1), "active_connections": 0}
    database.write(lambda c: c.execute(sa.insert(counter).values(**values)))
    wishes.change(database, owner, objects.listener, door, live=None)
    settle(database, claim(database), 3)
    assert database.read(lambda c: list(c.execute(sa.select(counter)))) == []


@pytest.mark.parametrize(("up", "expected"), [(True, "ONLINE"), (False, "OFFLINE")])
def test_a_monitor_in_force_has_the_status_of_its_switch(
    database: Database, owner: str, up: bool, expected: str
) -> None:
    """Nobody ever reports one."""
    pool = wishes.add(database, owner, objects.pool)
    monitor = wishes.add(database, owner, objects.health_monitor, pool_id=pool, admin_state_up=up)
    settle(database, claim(database), 3)
    assert wishes.row(database, objects.health_monitor, monitor).operating_status == expected


def test_members_without_their_monitor_have_no_status(database: Database, owner: str) -> None:
    """NO_MONITOR when it is gone, unless another took its place."""
    pool = wishes.add(database, owner, objects.pool)
    member = wishes.add(database, owner, objects.member, pool_id=pool, operating_status="ONLINE")
    monitor = wishes.add(database, owner, objects.health_monitor, pool_id=pool)
    wishes.change(database, owner, objects.health_monitor, monitor, live=None)
    another = wishes.add(database, owner, objects.health_monitor, pool_id=pool)
    held = claim(database)
    settle(database, held, 6)
    assert wishes.row(database, objects.member, member).operating_status == "ONLINE"
    wishes.change(database, owner, objects.health_monitor, another, live=None)
    settle(database, held, 7)
    assert wishes.row(database, objects.member, member).operating_status == "NO_MONITOR"


def test_a_lost_fence_writes_nothing(database: Database, owner: str) -> None:
    """Neither settling, nor faults, nor the end."""
    held = claim(database)
    late = Claim(owner, held.fence - 1, held.nudges, 0)
    with pytest.raises(LeaseLost):
        settle(database, late, 1)
    with pytest.raises(LeaseLost):
        database.write(lambda c: settling.note_fault(c, late, "why"))
    with pytest.raises(LeaseLost):
        database.write(lambda c: settling.bury(c, late))
    row = wishes.row(database, objects.load_balancer, owner)
    assert (row.settled, row.fault, row.deleted_at) == (0, None, None)


@pytest.mark.parametrize(("newer", "expected"), [(False, 1), (True, None)])
def test_a_refusal_is_of_the_wish_that_was_seen(
    database: Database, owner: str, newer: bool, expected: int | None
) -> None:
    """A wish that came after the claim is not the one that was refused."""
    held = claim(database)
    if newer:
        wishes.add(database, owner, objects.pool)
    database.write(lambda c: settling.note_fault(c, held, "no such topology", final=True))
    row = wishes.row(database, objects.load_balancer, owner)
    assert (row.fault, row.fault_generation) == ("no such topology", expected)


def test_burying_leaves_a_hidden_row(database: Database, owner: str) -> None:
    """Everything under it goes; loading finds it no more."""
    pool = wishes.add(database, owner, objects.pool)
    wishes.add(database, owner, objects.member, pool_id=pool)
    tag(database, owner, "blue")
    wishes.change(database, owner, objects.load_balancer, owner, live=None)
    held = claim(database)
    database.write(lambda c: settling.bury(c, held))
    row = wishes.row(database, objects.load_balancer, owner)
    assert row.deleted_at is not None
    assert row.settled == row.generation
    assert tags(database) == set()
    assert wishes.row(database, objects.pool, pool) is None
    assert database.read(lambda c: load(c, owner)) is None


def test_a_lapsed_reservation_stays_hidden(database: Database) -> None:
    """Its end lies in the past for ever, so nobody can confirm it."""
    owner = wishes.create(database, live=None, reserved_until=5.0)
    held = claim(database)
    database.write(lambda c: settling.lapse(c, held))
    assert wishes.row(database, objects.load_balancer, owner).reserved_until == 0.0


def test_everything_under_a_load_balancer_is_loaded(database: Database, owner: str) -> None:
    """In order of creation, doomed rows too, other load balancers' rows not."""
    pool = wishes.add(database, owner, objects.pool)
    first = wishes.add(database, owner, objects.member, pool_id=pool)
    second = wishes.add(database, owner, objects.member, pool_id=pool, address="10.1.0.3")
    door = wishes.add(database, owner, objects.listener, allowed_cidrs=["10.0.0.0/8"])
    monitor = wishes.add(database, owner, objects.health_monitor, pool_id=pool)
    wishes.change(database, owner, objects.member, first, live=None)
    wishes.add(database, wishes.create(database), objects.pool)
    vip: dict[str, Any] = {"load_balancer_id": owner, "subnet_id": "s", "position": 0}
    database.write(
        lambda c: c.execute(sa.insert(objects.additional_vip).values(ip_address="fd00::1", **vip))
    )
    desired = database.read(lambda c: load_desired(c, owner))
    assert desired is not None
    assert [row.id for row in desired.members] == [first, second]
    assert [row.live for row in desired.members] == [None, 1]
    assert [row.id for row in desired.listeners] == [door]
    assert desired.listeners[0].traffic.allowed_cidrs == ("10.0.0.0/8",)
    assert [row.id for row in desired.monitors] == [monitor]
    assert desired.load_balancer.generation == 7
    assert desired.load_balancer.additional_vips[0].ip_address == "fd00::1"


def test_amphorae_are_noted(database: Database, owner: str) -> None:
    """Rows are made once, changed, and hidden when they are buried."""

    def rows() -> Any:
        return database.read(lambda c: c.execute(sa.select(amphora)).one())

    database.write(lambda c: amphorae.add(c, "a", owner, "STANDALONE", 1))
    database.write(lambda c: amphorae.add(c, "a", owner, "STANDALONE", 1))
    database.write(lambda c: amphorae.place(c, "a", "machine", None))
    database.write(lambda c: amphorae.plug_vip_network(c, "a", "port", "10.1.0.7"))
    database.write(lambda c: amphorae.plug_subnet(c, "a", "far", "other"))
    row = rows()
    assert (row.machine_id, row.port_id, row.ports) == ("machine", "port", {"far": "other"})
    settle_with = claim(database)
    database.write(lambda c: settling.settle(c, settle_with, 1, (), ("a",)))
    assert rows().status == "ALLOCATED"
    database.write(lambda c: amphorae.plug_subnet(c, "a", "far", None))
    assert rows().ports == {}
    database.write(lambda c: amphorae.bury(c, "a"))
    stored = database.read(lambda c: load(c, owner))
    assert stored is not None
    assert stored.amphorae == ()
