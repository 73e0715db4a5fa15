"""From a wish in the database to the agent and back, with the real controller and gateway."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from statera.controller.acting import CHECKPOINTS
from statera.spec.document import AmphoraSpec
from statera.spec.report import AmphoraReport
from statera.store.tables import objects
from statera.store.tables.placement import amphora, counter, document, machine, observation
from tests.installation import eventually
from tests.unit.controller.rig import Rig
from tests.unit.store import wishes


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def tree(rig: Rig) -> dict[str, str]:
    """Wish for a load balancer with one of each; return the ids."""
    owner = wishes.create(rig.database)
    pool = wishes.add(rig.database, owner, objects.pool)
    return {
        "balancer": owner,
        "pool": pool,
        "listener": wishes.add(rig.database, owner, objects.listener, default_pool_id=pool),
        "member": wishes.add(rig.database, owner, objects.member, pool_id=pool),
        "monitor": wishes.add(rig.database, owner, objects.health_monitor, pool_id=pool),
    }


def rows(rig: Rig, table: sa.Table) -> list[Any]:
    return rig.database.read(lambda c: list(c.execute(sa.select(table))))


def holds(rig: Rig) -> AmphoraSpec:
    """Return the one document that the agent holds."""
    (held,) = rig.agent.held.values()
    assert isinstance(held, AmphoraSpec)
    return held


def test_create_change_delete(rig: Rig) -> None:
    """The whole life of a load balancer."""
    rig.start()
    ids = tree(rig)
    owner = ids["balancer"]
    rig.settled(owner)
    assert holds(rig).listeners[0].id == ids["listener"]
    assert [row.status for row in rows(rig, amphora)] == ["ALLOCATED"]
    assert rig.row(objects.health_monitor, ids["monitor"]).operating_status == "ONLINE"
    eventually(
        "healthy", lambda: rig.row(objects.load_balancer, owner).operating_status == "ONLINE"
    )
    eventually(
        "healthy", lambda: rig.row(objects.member, ids["member"]).operating_status == "ONLINE"
    )
    more = wishes.add(rig.database, owner, objects.member, pool_id=ids["pool"], address="10.1.0.21")
    rig.settled(owner)
    assert more in {each.id for each in holds(rig).pools[0].members}
    wishes.change(rig.database, owner, objects.member, more, live=None)
    rig.settled(owner)
    assert rig.row(objects.member, more) is None
    wishes.change(rig.database, owner, objects.load_balancer, owner, live=None)
    rig.deleted(owner)
    assert [row.status for row in rows(rig, amphora)] == ["DELETED"]
    assert all(rows(rig, table) == [] for table in objects.CHILDREN)
    assert all(isinstance(held, tuple) for held in rig.agent.held.values())


def test_a_name_makes_no_document(rig: Rig) -> None:
    """A change that no agent sees is settled without one."""
    rig.start()
    ids = tree(rig)
    rig.settled(ids["balancer"])
    before = [row.revision for row in rows(rig, document)]
    wishes.change(rig.database, ids["balancer"], objects.pool, ids["pool"], name="renamed")
    rig.settled(ids["balancer"])
    assert [row.revision for row in rows(rig, document)] == before
    assert rig.row(objects.pool, ids["pool"]).pending_since is None


def test_a_refused_object_is_in_error_alone(rig: Rig) -> None:
    """Its siblings and parents are in force; a newer wish clears it."""
    rig.start()
    ids = tree(rig)
    owner = ids["balancer"]
    rig.settled(owner)
    bad = wishes.add(rig.database, owner, objects.listener, protocol_port=81)
    rig.agent.refused.add(bad)
    rig.settled(owner)
    refused = rig.row(objects.listener, bad)
    assert refused.fault_generation == refused.generation
    assert refused.fault == "the engine refuses it"
    for table, key in ((objects.load_balancer, "balancer"), (objects.listener, "listener")):
        assert rig.row(table, ids[key]).fault is None
    rig.agent.refused.clear()
    wishes.change(rig.database, owner, objects.listener, bad, connection_limit=7)
    rig.settled(owner)
    assert rig.row(objects.listener, bad).fault_generation is None


def test_a_machine_that_comes_later_gets_the_work(rig: Rig) -> None:
    """Without a machine the wish waits with its reason, and starts when one says hello."""
    rig.start_gateway()
    rig.start_controller()
    owner = wishes.create(rig.database)
    rig.wake()
    eventually("reason", lambda: rig.row(objects.load_balancer, owner).fault)
    assert rig.row(objects.load_balancer, owner).fault == "no machine is connected"
    rig.start_agent()
    rig.settled(owner)
    assert rig.row(objects.load_balancer, owner).fault is None


def test_a_gateway_that_restarts_loses_nothing(rig: Rig) -> None:
    """Wishes made while no gateway runs reach the agent when it has dialled again."""
    rig.start()
    ids = tree(rig)
    rig.settled(ids["balancer"])
    rig.stop("gateway")
    more = wishes.add(
        rig.database, ids["balancer"], objects.member, pool_id=ids["pool"], address="10.1.0.21"
    )
    rig.wake()
    assert [row.connected for row in rows(rig, machine)] == [False]
    rig.start_gateway()
    rig.settled(ids["balancer"])
    assert more in {each.id for each in holds(rig).pools[0].members}


def test_a_retirement_reaches_an_agent_that_was_away(rig: Rig) -> None:
    """The deletion waits for the machine's word, however long it takes."""
    rig.start()
    ids = tree(rig)
    owner = ids["balancer"]
    rig.settled(owner)
    rig.stop("agent")
    eventually("noted", lambda: not any(row.connected for row in rows(rig, machine)))
    wishes.change(rig.database, owner, objects.load_balancer, owner, live=None)
    rig.wake()
    eventually("reason", lambda: "silent" in (rig.row(objects.load_balancer, owner).fault or ""))
    rig.start_agent()
    rig.deleted(owner)


def test_a_newer_stream_of_a_machine_counts(rig: Rig) -> None:
    """A second stream ends the first, and the machine stays connected."""
    rig.start()
    ids = tree(rig)
    rig.settled(ids["balancer"])
    first = rig.agent.connection
    rig.start_agent()
    eventually("replaced", lambda: rig.agent.connection is not first)
    wishes.change(rig.database, ids["balancer"], objects.pool, ids["pool"], admin_state_up=False)
    rig.settled(ids["balancer"])
    assert [row.connected for row in rows(rig, machine)] == [True]


def test_reports_about_foreign_amphorae_are_dropped(rig: Rig) -> None:
    """An agent speaks only for what is placed on its machine; counters only grow."""
    rig.start()
    ids = tree(rig)
    rig.settled(ids["balancer"])
    (own,) = rig.agent.held
    foreign = AmphoraReport(amphora_id="foreign", epoch=1, revision=9, generation=9)

    def say(count: int) -> None:
        rig.agent.bytes_in = count
        told = rig.agent.report([own], foreign)
        asyncio.run_coroutine_threadsafe(told, rig.agent_loop.loop).result(10)

    say(700)
    eventually("counted", lambda: [row.bytes_in for row in rows(rig, counter)] == [700])
    say(300)
    say(900)
    eventually("counted", lambda: [row.bytes_in for row in rows(rig, counter)] == [900])
    assert [row.amphora_id for row in rows(rig, observation)] == [own]


class Dead(BaseException):
    """Ends a worker as nothing else does: no handler writes anything afterwards."""


@pytest.mark.parametrize("name", [each for each in CHECKPOINTS if "Lapse" in each])
def test_a_crash_while_a_reservation_lapses_is_harmless(rig: Rig, name: str) -> None:
    """The next worker ends it, and its VIP's port is given up."""
    died = crash(rig, name)
    owner = wishes.create(rig.database, live=None, reserved_until=5.0)
    rig.deleted(owner)
    assert died.is_set()


def crash(rig: Rig, name: str) -> threading.Event:
    """Start everything with a worker that dies once at a boundary; the event says that it did."""
    died = threading.Event()

    def checkpoint(here: str) -> None:
        if here == name and not died.is_set():
            died.set()
            raise Dead

    rig.start_gateway()
    rig.start_agent()
    rig.start_controller(checkpoint)
    return died


@pytest.mark.parametrize("name", [each for each in CHECKPOINTS if "Lapse" not in each])
def test_a_crash_at_any_boundary_is_harmless(rig: Rig, name: str) -> None:
    """The worker dies there once; the lease ends; the next one goes on and leaks nothing."""
    died = crash(rig, name)
    owner = wishes.create(rig.database)
    subnet = wishes.SUBNET.replace("fb", "aa")
    pool = wishes.add(rig.database, owner, objects.pool)
    far = wishes.add(rig.database, owner, objects.member, pool_id=pool, subnet_id=subnet)
    rig.settled(owner)
    taken = rig.row(objects.load_balancer, owner).vip_port_id
    rig.networks.gone.add(taken)
    wishes.change(rig.database, owner, objects.member, far, live=None)
    rig.settled(owner)
    eventually(
        "another VIP port",
        lambda: rig.row(objects.load_balancer, owner).vip_port_id not in rig.networks.gone,
    )
    wishes.change(rig.database, owner, objects.load_balancer, owner, live=None)
    rig.deleted(owner)
    assert died.is_set()
    assert [row.status for row in rows(rig, amphora)] == ["DELETED"]
