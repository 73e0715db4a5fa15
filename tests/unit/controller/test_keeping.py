"""Leases are kept while work runs, lost leases stop it, and failures are told apart."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy.engine import Connection

from statera.controller import holder
from statera.controller.converge import Converger, Held
from statera.controller.housekeeping import Housekeeping
from statera.controller.keeper import Keeper
from statera.edges.network.noop import NoopNetworks
from statera.edges.network.protocol import Port, PortRequest
from statera.lb.errors import Conflict, Final, Retryable
from statera.store import leases, work
from statera.store.database import Database
from statera.store.tables import objects
from statera.store.tables.work import work as table
from statera.store.types import now
from statera.store.work import LeaseLost
from tests.installation import eventually
from tests.unit.controller.rig import FAST, Rig
from tests.unit.store import wishes


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def claim(rig: Rig, seconds: float = 30.0) -> Held:
    (held,) = rig.database.write(lambda c: work.claim(c, "worker", 2.0, 1))
    return Held(held, time.monotonic() + seconds)


def is_lost(held: Held) -> bool:
    try:
        held.check()
    except LeaseLost:
        return True
    return False


def row(rig: Rig) -> Any:
    return rig.database.read(lambda c: c.execute(sa.select(table, now().label("now"))).one())


def test_a_beat_prolongs_running_work(rig: Rig) -> None:
    """Only what runs; what was given back is let be."""
    wishes.create(rig.database)
    held = claim(rig)
    before = held.until
    keeper = Keeper(rig.database, 100.0)
    keeper.beat()
    assert held.until == before
    keeper.add(held)
    keeper.beat()
    assert row(rig).leased_until - row(rig).now > 50
    assert held.until > before
    assert not is_lost(held)


def test_a_lease_taken_over_is_known_to_be_lost(rig: Rig) -> None:
    """The next beat says so, and the work stops before its next step."""
    owner = wishes.create(rig.database)
    held = claim(rig)
    keeper = Keeper(rig.database, 2.0)
    keeper.add(held)
    rig.database.write(lambda c: c.execute(sa.update(table).values(leased_until=now() - 1)))
    successor = claim(rig)
    assert not is_lost(held)
    keeper.beat()
    assert is_lost(held)
    Converger(rig.edges, FAST).work(held)
    assert row(rig).fence == successor.claim.fence
    assert wishes.row(rig.database, objects.load_balancer, owner).fault is None


def test_work_stops_when_its_lease_has_run_out(rig: Rig) -> None:
    """Also while the keeper waits for the database: nothing more is done outside."""
    owner = wishes.create(rig.database)
    networks = Refusing(AssertionError("asked after the end of the lease"))
    rig.edges = type(rig.edges)(rig.database, networks, rig.edges.compute, rig.wakes)
    late = claim(rig, seconds=0.0)
    assert is_lost(late)
    Converger(rig.edges, FAST).work(late)
    assert rig.row(objects.load_balancer, owner).fault is None
    assert row(rig).attempts == 0


class Unreachable(Database):
    """A database that cannot be reached for writing."""

    def write(self, work: Callable[[Connection], Any]) -> Any:  # noqa: ARG002
        raise db_exception.DBConnectionError


def test_a_lease_that_cannot_be_prolonged_stands_until_its_end(rig: Rig) -> None:
    """An outage shorter than the lease costs nothing."""
    wishes.create(rig.database)
    held = claim(rig)
    before = held.until
    keeper = Keeper(Unreachable(str(rig.database.engine.url)), 100.0)
    keeper.add(held)
    keeper.beat()
    assert held.until == before


class Refusing(NoopNetworks):
    """A network service that fails in a given way."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    def network(self, network_id: str, caller: Any = None) -> Any:
        """Answer as the no-op one."""
        return super().network(network_id, caller)

    def ensure_port(self, request: PortRequest) -> Port:
        """Fail, until `error` is None."""
        if self.error is not None:
            raise self.error
        return super().ensure_port(request)


@pytest.mark.parametrize(
    ("error", "text", "final"),
    [
        (Retryable("no address is free"), "no address is free", False),
        (Conflict("Network x is gone."), "Network x is gone.", False),
        (Final("refused for good"), "refused for good", True),
        (ZeroDivisionError("secret detail"), "internal error", False),
    ],
)
def test_a_failure_says_why_and_is_tried_again(
    rig: Rig, error: Exception, text: str, final: bool
) -> None:
    """The reason stands in the load balancer; final ones are ERROR; the next success clears it."""
    networks = Refusing(error)
    rig.edges = type(rig.edges)(rig.database, networks, rig.edges.compute, rig.wakes)
    rig.start()
    owner = wishes.create(rig.database)
    rig.wake()
    eventually("reason", lambda: text in (rig.row(objects.load_balancer, owner).fault or ""))
    failed = rig.row(objects.load_balancer, owner)
    assert "secret" not in failed.fault
    assert (failed.fault_generation == failed.generation) is final
    networks.error = None
    if final:
        wishes.change(rig.database, owner, objects.load_balancer, owner, name="again")
    rig.settled(owner)
    assert rig.row(objects.load_balancer, owner).fault is None


def test_housekeeping_is_for_one(rig: Rig) -> None:
    """Under the lease of another nothing is done; without, what is due is."""
    wishes.create(rig.database, live=None, reserved_until=5.0)
    rig.database.write(lambda c: c.execute(sa.update(table).values(due_at=None)))
    ours = Housekeeping(rig.database, rig.wakes, FAST, "us")
    assert leases.acquire(rig.database, "housekeeping", "them", 60)
    assert not ours.round()
    leases.release(rig.database, "housekeeping", "them")
    assert ours.round()
    assert row(rig).due_at is not None
    stop = threading.Event()
    stop.set()
    ours.run(stop)
    assert leases.acquire(rig.database, "housekeeping", "them", 60)


def test_a_crashed_reservation_goes(rig: Rig) -> None:
    """Its row ends hidden and DELETED, whoever had reserved it."""
    rig.start()
    owner = wishes.create(rig.database, live=None, reserved_until=5.0)
    rig.deleted(owner)


def test_the_leases_of_a_dead_controller_end_at_once(rig: Rig) -> None:
    """Its successor on the machine does not wait for them; those of the living stand."""
    script = "from statera.controller import holder; print(holder.ours())"
    dead = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert holder.is_dead(dead)
    assert not holder.is_dead(holder.ours())
    assert not holder.is_dead(dead.replace("-", "-1", 1))
    owner = wishes.create(rig.database)
    rig.database.write(lambda c: work.claim(c, dead, 300.0, 1))
    rig.start()
    rig.settled(owner)
