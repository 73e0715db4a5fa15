"""Documents, what agents say of them, and counters."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from statera.spec.document import AmphoraSpec
from statera.spec.report import AmphoraReport, Counters, Fault, MemberReport, PoolReport
from statera.store import amphorae, counters, documents, observations, purging
from statera.store.counters import FIELDS, Total, added
from statera.store.database import Database
from statera.store.observations import Arrival
from statera.store.tables import objects
from statera.store.tables.placement import (
    amphora,
    counter,
    document,
    gateway,
    machine,
    observation,
)
from statera.store.tables.work import work
from statera.store.types import now
from tests.unit.store import wishes

SPEC = AmphoraSpec(
    amphora_id="a", load_balancer_id="b", project_id="p", epoch=0, revision=0, generation=4
)


@pytest.fixture
def owner(database: Database) -> str:
    made = wishes.create(database)
    database.write(lambda c: amphorae.add(c, "a", made, "STANDALONE", 1))
    database.write(lambda c: amphorae.place(c, "a", "machine", None))
    return made


def rows(database: Database, table: sa.Table) -> list[Any]:
    return database.read(lambda c: list(c.execute(sa.select(table))))


def age(database: Database, table: sa.Table, column: str, seconds: float) -> None:
    database.write(lambda c: c.execute(sa.update(table).values({column: now() - seconds})))


def nudges(database: Database, owner: str) -> int:
    return int(wishes_of(database, owner).nudges)


def wishes_of(database: Database, owner: str) -> Any:
    return database.read(
        lambda c: c.execute(sa.select(work).where(work.c.load_balancer_id == owner)).one()
    )


@pytest.mark.usefixtures("owner")
def test_revisions_only_grow(database: Database) -> None:
    """Publishing again, and retiring, take the next number; retiring twice takes none."""
    first = database.write(lambda c: documents.publish(c, SPEC))
    second = database.write(lambda c: documents.publish(c, SPEC))
    assert [(each.epoch, each.revision) for each in (first, second)] == [(1, 1), (1, 2)]
    (head,) = database.read(lambda c: documents.heads_of(c, "machine"))
    assert (head.id, head.order, head.retired, head.settled) == ("a", (1, 2), False, False)
    (full,) = database.read(lambda c: documents.bodies(c, ["a"], "machine"))
    assert full.body is not None
    assert msgspec.msgpack.decode(full.body, type=AmphoraSpec) == second
    for _ in range(2):
        database.write(lambda c: documents.retire(c, "a"))
    (row,) = rows(database, document)
    assert (row.revision, row.retired, row.body) == (3, True, None)
    assert database.read(lambda c: documents.heads_of(c, "another")) == []
    assert row.published_at > 0
    for ago, expected in ((60, []), (1, ["a"]), (-3600, ["a"])):
        age(database, document, "published_at", ago)
        late = database.read(lambda c: documents.heads_of_late(c, 10.0))
        assert [each.id for each in late] == expected


def test_only_news_is_written_and_makes_work_due(database: Database, owner: str) -> None:
    """The same report twice is one observation and one nudge."""
    fault = Fault(object_type="pool", object_id="x", text="why")
    report = AmphoraReport(
        amphora_id="a", epoch=1, revision=2, generation=4, serving=True, faults=(fault,)
    )
    before = nudges(database, owner)
    assert database.write(lambda c: observations.observe(c, owner, report))
    assert not database.write(lambda c: observations.observe(c, owner, report))
    assert nudges(database, owner) == before + 1
    later = msgspec.structs.replace(report, faults=())
    assert database.write(lambda c: observations.observe(c, owner, later))
    (row,) = rows(database, observation)
    assert (row.revision, row.serving, row.faults) == (2, True, [])


def test_operating_statuses_are_written_without_waking_anybody(
    database: Database, owner: str
) -> None:
    """Only differences are; nobody has to work because of them."""
    pool = wishes.add(database, owner, objects.pool)
    member = wishes.add(database, owner, objects.member, pool_id=pool)
    report = AmphoraReport(
        amphora_id="a",
        epoch=1,
        revision=1,
        generation=3,
        pools=(
            PoolReport(id=pool, status="DOWN", members=(MemberReport(id=member, status="DOWN"),)),
        ),
    )
    before = nudges(database, owner)
    changed = database.read(lambda c: observations.read_changes(c, owner, report))
    database.write(lambda c: observations.write_changes(c, owner, changed))
    for table, key in (
        (objects.member, member),
        (objects.pool, pool),
        (objects.load_balancer, owner),
    ):
        assert wishes.row(database, table, key).operating_status == "ERROR"
    assert database.read(lambda c: observations.read_changes(c, owner, report)) == {}
    assert nudges(database, owner) == before


def test_machines_come_and_go(database: Database, owner: str) -> None:
    """A hello starts what waits for a machine; the end of an older stream changes nothing."""
    database.write(lambda c: amphorae.add(c, "homeless", owner, "STANDALONE", 1))
    hello = Arrival("machine", "uid 0", "here", "g1", ("haproxy",), ("10.0.0.0/8",))
    assert database.write(lambda c: observations.arrive(c, hello)) == [owner]
    database.write(lambda c: amphorae.place(c, "homeless", "machine", None))
    again = Arrival("machine", "uid 0", "here", "g2", ("haproxy",), ())
    assert database.write(lambda c: observations.arrive(c, again)) == []
    database.write(lambda c: observations.depart(c, "machine", "g1"))
    assert [row.connected for row in rows(database, machine)] == [True]
    able = Arrival("machine", "uid 0", "here", "g2", ("haproxy", "ping-monitor"), ())
    assert database.write(lambda c: observations.arrive(c, able)) == [owner]
    database.write(lambda c: observations.depart(c, "machine", "g2"))
    assert [row.connected for row in rows(database, machine)] == [False]


def test_a_dead_gateway_is_forgotten(database: Database) -> None:
    """Its machines count as silent, others' do not."""
    for name in ("dead", "alive"):
        hello = Arrival(f"at-{name}", "uid 0", "here", name, (), ())
        for _ in range(2):
            database.write(partial(observations.beat, gateway_id=name, here=[hello]))
    late = sa.update(gateway).where(gateway.c.id == "dead").values(beat_at=now() - 100)
    database.write(lambda c: c.execute(late))
    assert database.write(purging.dead_gateways) == 1
    connected = {row.id: row.connected for row in rows(database, machine)}
    assert connected == {"at-dead": False, "at-alive": True}
    assert [row.id for row in rows(database, gateway)] == ["alive"]


def test_a_gateway_that_was_forgotten_takes_back_its_own(database: Database, owner: str) -> None:
    """The machines that did not dial another one meanwhile."""
    database.write(lambda c: amphorae.add(c, "homeless", owner, "STANDALONE", 1))
    here = [Arrival(name, "uid 0", "here", "g", (), ()) for name in ("stayed", "left")]
    assert set(database.write(lambda c: observations.beat(c, "g", here))) == {owner}
    database.write(lambda c: observations.forget(c, ["g"]))
    database.write(lambda c: observations.arrive(c, Arrival("left", "uid 0", "here", "h", (), ())))
    assert database.write(lambda c: observations.beat(c, "g", here)) == [owner]
    at = {row.id: row.gateway_id for row in rows(database, machine)}
    assert at == {"stayed": "g", "left": "h"}


def test_a_beat_corrects_who_is_here(database: Database) -> None:
    """An overtaken note of a departure, and one that failed; others' machines are let alone."""
    noted = [Arrival(name, "uid 0", "here", "g", (), ()) for name in ("stays", "left")]
    database.write(lambda c: observations.beat(c, "g", noted))
    database.write(lambda c: observations.arrive(c, Arrival("other", "uid 0", "here", "h", (), ())))
    database.write(lambda c: observations.depart(c, "stays", "g"))
    for _ in range(2):
        database.write(lambda c: observations.beat(c, "g", noted[:1]))
    found = {row.id: (bool(row.connected), row.gateway_id) for row in rows(database, machine)}
    assert found == {"stays": (True, "g"), "left": (False, None), "other": (True, "h")}


def test_only_what_is_placed_here_counts(database: Database, owner: str) -> None:
    """Another machine's amphora is not ours to speak about."""
    assert database.read(lambda c: observations.placed(c, "machine", ["a", "b"])) == {"a": owner}
    assert database.read(lambda c: observations.placed(c, "other", ["a"])) == {}


def test_counters_are_added(database: Database, owner: str) -> None:
    """Differences within an epoch, everything of a new one, nothing twice, nothing older."""
    door = wishes.add(database, owner, objects.listener)

    def flush(epoch: int, count: int, listener: str = door) -> int:
        seen = {(listener, "a"): Counters(epoch=epoch, bytes_in=count, active_connections=count)}
        database.write(lambda c: counters.flush(c, owner, seen))
        return sum(row.bytes_in for row in rows(database, counter))

    assert flush(1, 100) == 100
    assert flush(1, 100) == 100
    assert flush(1, 150) == 150
    assert flush(2, 30) == 180
    assert flush(1, 900) == 180
    assert flush(2, 10) == 180
    assert flush(2, 40, "unknown") == 180
    assert flush(2, 40) == 190
    assert [row.active_connections for row in rows(database, counter)] == [40]


@pytest.mark.usefixtures("owner")
def test_what_is_long_deleted_is_purged(database: Database) -> None:
    """Rows stay for their age, then everything of them goes."""
    database.write(lambda c: documents.publish(c, SPEC))
    database.write(lambda c: amphorae.bury(c, "a"))
    assert database.write(lambda c: purging.amphorae(c, 3600)) == 0
    assert database.write(lambda c: purging.amphorae(c, -3600)) == 1
    assert rows(database, document) == []
    gone = sa.update(objects.load_balancer).values(live=None, deleted_at=now())
    database.write(lambda c: c.execute(gone))
    assert database.write(lambda c: purging.load_balancers(c, 3600)) == 0
    assert database.write(lambda c: purging.load_balancers(c, 0)) == 1
    for table in (objects.load_balancer, work, amphora):
        assert rows(database, table) == []


def test_lapsed_reservations_become_due(database: Database) -> None:
    """Even if nobody had made them due."""
    owner = wishes.create(database, live=None, reserved_until=5.0)
    database.write(lambda c: c.execute(sa.update(work).values(due_at=None)))
    assert database.write(purging.lapse_reservations) == 1
    assert wishes_of(database, owner).due_at is not None
    assert database.write(purging.lapse_reservations) == 0


def test_totals_stay_storable() -> None:
    """However much is claimed to have been carried, the sums fit into the database."""
    full = Counters(epoch=1, bytes_in=counters.MOST)
    first = added(None, full)
    second = added(first, msgspec.structs.replace(full, epoch=2))
    assert second is not None
    assert second.totals["bytes_in"] == counters.MOST


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 100)), max_size=12))
def test_totals_never_shrink(history: list[tuple[int, int]]) -> None:
    """Whatever arrives, in whatever order, a total only grows."""
    total: Total | None = None
    for epoch, count in history:
        after = added(total, Counters(epoch=epoch, bytes_in=count))
        if after is None:
            continue
        if total is not None:
            assert all(after.totals[name] >= total.totals[name] for name in FIELDS)
        total = after
