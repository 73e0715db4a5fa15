"""The work queue: nothing is lost, nobody works twice at once, nothing waits for a clock."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.store import leases, work
from statera.store.database import Database
from statera.store.tables.work import lease
from statera.store.tables.work import work as table
from statera.store.types import now
from statera.store.work import Claim, LeaseLost
from tests.installation import eventually
from tests.unit.plan.rows import fresh_id


def nudge(database: Database, owner: str) -> None:
    database.write(lambda c: work.nudge(c, owner))


def claim(database: Database, limit: int = 10, lease_seconds: float = 30.0) -> list[Claim]:
    return database.write(lambda c: work.claim(c, "worker", lease_seconds, limit))


def row(database: Database, owner: str) -> Any:
    return database.read(
        lambda c: c.execute(
            sa.select(table, now().label("now")).where(table.c.load_balancer_id == owner)
        ).one()
    )


def change(database: Database, owner: str, **values: Any) -> None:
    database.write(
        lambda c: c.execute(
            sa.update(table).where(table.c.load_balancer_id == owner).values(**values)
        )
    )


def execute(statement: sa.Update, connection: Connection) -> None:
    connection.execute(statement)


@pytest.fixture
def owner(database: Database) -> str:
    made = fresh_id()
    nudge(database, made)
    return made


def test_claimed_work_is_not_claimed_again(database: Database, owner: str) -> None:
    """As long as the lease lasts, it is the claimant's alone."""
    (held,) = claim(database)
    assert (held.load_balancer_id, held.fence, held.nudges) == (owner, 1, 1)
    assert claim(database) == []


def test_finished_work_is_done(database: Database, owner: str) -> None:
    """The row stays, with nothing due and the fence as it was."""
    (held,) = claim(database)
    database.write(lambda c: work.finish(c, held))
    after = row(database, owner)
    assert (after.due_at, after.leased_by, after.fence, after.attempts) == (None, None, 1, 0)
    assert claim(database) == []


@pytest.mark.parametrize(
    "give",
    [
        pytest.param(work.finish, id="finish"),
        pytest.param(partial(work.park, seconds=200.0, reason="waits"), id="park"),
        pytest.param(partial(work.fail, seconds=200.0, error="failed"), id="fail"),
    ],
)
def test_a_wish_while_working_is_due_at_once(
    database: Database, owner: str, give: Callable[..., None]
) -> None:
    """Whoever gives the work back has not seen it: nothing puts it off."""
    (held,) = claim(database)
    nudge(database, owner)
    assert claim(database) == []
    database.write(lambda c: give(c, held))
    (again,) = claim(database)
    assert again.nudges == held.nudges + 1


def test_failed_work_waits_and_says_why(database: Database, owner: str) -> None:
    """The attempt is counted, the error can be read, a newer wish starts at once."""
    (held,) = claim(database)
    database.write(lambda c: work.fail(c, held, 100.0, "no address is free"))
    after = row(database, owner)
    assert (after.attempts, after.last_error) == (1, "no address is free")
    assert 90 < after.due_at - after.now < 110
    assert claim(database) == []
    nudge(database, owner)
    assert [each.attempts for each in claim(database)] == [1]


def test_a_lost_lease_is_noticed(database: Database, owner: str) -> None:
    """After a take-over the slow one can neither prolong, nor write, nor give back."""
    (slow,) = claim(database)
    change(database, owner, leased_until=now() - 1)
    (fast,) = claim(database)
    assert fast.fence == slow.fence + 1
    assert not database.write(lambda c: work.extend(c, slow, 30.0))
    with pytest.raises(LeaseLost):
        database.write(lambda c: work.fenced(c, slow))
    with pytest.raises(LeaseLost):
        database.write(lambda c: work.finish(c, slow))
    database.write(lambda c: work.fenced(c, fast))
    assert database.write(lambda c: work.extend(c, fast, 30.0))


def test_what_was_given_back_is_not_prolonged(database: Database, owner: str) -> None:
    """A late beat must not lock up work that nobody does."""
    (held,) = claim(database)
    database.write(lambda c: work.finish(c, held))
    assert not database.write(lambda c: work.extend(c, held, 30.0))
    for write in (work.fenced, work.finish):
        with pytest.raises(LeaseLost):
            database.write(partial(write_claim, write, held))
    nudge(database, owner)
    assert len(claim(database)) == 1


def test_a_dead_holders_leases_end(database: Database, owner: str) -> None:
    """They are named, and once ended the work is claimed by another at once."""
    database.write(lambda c: work.claim(c, "dead", 300.0, 1))
    assert database.read(work.holders) == ["dead"]
    assert database.write(lambda c: work.release_dead(c, "dead")) == 1
    assert [each.load_balancer_id for each in claim(database)] == [owner]


def write_claim(write: Callable[..., None], held: Claim, connection: Connection) -> None:
    write(connection, held)


def test_times_of_another_clock_count_as_reached(database: Database, owner: str) -> None:
    """A clock that was set back stalls neither what is due nor what is leased."""
    change(database, owner, due_at=now() + 10_000)
    assert len(claim(database)) == 1
    change(database, owner, leased_until=now() + 10_000, due_at=now())
    assert len(claim(database)) == 1


def test_the_clock_stands_still_within_a_statement(database: Database) -> None:
    """Only then can an index find what is due, instead of a look at every load balancer."""
    first = sa.select(sa.literal(1).label("i")).cte("n", recursive=True)
    numbers = first.union_all(sa.select(first.c.i + 1).where(first.c.i < 900))
    times = sa.select(now().label("t")).select_from(numbers).subquery()
    seen = sa.select(sa.func.count(times.c.t.distinct()))
    assert database.read(lambda c: c.scalar(seen)) == 1


def test_the_longest_due_comes_first(database: Database, owner: str) -> None:
    """No load balancer starves."""
    later = fresh_id()
    nudge(database, later)
    change(database, later, due_at=now() - 5)
    change(database, owner, due_at=now() - 50)
    (first,) = claim(database, limit=1)
    assert first.load_balancer_id == owner


def test_the_back_off_grows_up_to_its_limit() -> None:
    """Doubling from half a second, with jitter, never beyond five minutes."""
    waits = [[work.backoff(attempts, 300.0) for _ in range(50)] for attempts in range(15)]
    assert all(0.25 <= wait <= 0.5 for wait in waits[0])
    assert all(150 <= wait <= 300 for wait in waits[-1])
    assert len(set(waits[3])) > 1


class Crew:
    """Workers that now and then die; they remember what they saw and whether they met."""

    def __init__(self, database: Database) -> None:
        self.seen = Counter[str]()
        self.overlaps: list[str] = []
        self._fences: dict[str, int] = {}
        self._database = database
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(3)]

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._stop.is_set():
            for held in claim(self._database, 3, lease_seconds=0.3):
                if chance.random() < 0.1:
                    continue  # dies: the lease runs out
                with contextlib.suppress(LeaseLost):
                    self._act(held)

    def _act(self, held: Claim) -> None:
        owner = held.load_balancer_id
        self._database.write(lambda c: self._write(c, held))
        self._database.write(lambda c: work.finish(c, held))
        with self._lock:
            self.seen[owner] = max(self.seen[owner], held.nudges)

    def _write(self, connection: Connection, held: Claim) -> None:
        work.fenced(connection, held)
        with self._lock:
            if self._fences.get(held.load_balancer_id, 0) > held.fence:
                self.overlaps.append(held.load_balancer_id)
            self._fences[held.load_balancer_id] = held.fence


def test_many_workers_finish_everything_once(database: Database) -> None:
    """Nudged at random, killed at random: no older fence writes after a newer, nothing is left."""
    owners = [fresh_id() for _ in range(12)]
    wished = Counter[str]()
    chance = random.Random(9)
    with Crew(database) as crew:
        for owner in [*owners, *chance.choices(owners, k=60)]:
            nudge(database, owner)
            wished[owner] += 1
        eventually("everything seen", lambda: crew.seen == wished, 60)
    assert crew.overlaps == []
    due = sa.select(sa.func.count()).where(table.c.due_at.is_not(None))
    assert database.read(lambda c: c.scalar(due)) == 0


def test_a_named_lease_has_one_holder(database: Database) -> None:
    """Another gets it when it is given up, has run out, or lies absurdly far ahead."""
    assert leases.acquire(database, "sweep", "one", 60)
    assert leases.acquire(database, "sweep", "one", 60)
    assert not leases.acquire(database, "sweep", "two", 60)
    leases.release(database, "sweep", "one")
    assert leases.acquire(database, "sweep", "two", 60)
    for until in (now() - 1, now() + 100_000):
        statement = sa.update(lease).values(until=until)
        database.write(partial(execute, statement))
        holder = fresh_id()
        assert leases.acquire(database, "sweep", holder, 60)


def test_a_fence_needs_the_load_balancers_work(database: Database) -> None:
    """A row that is gone stops whoever worked on it."""
    ghost = Claim(fresh_id(), 1, 1, 0)
    with pytest.raises(LeaseLost):
        database.write(lambda c: work.fenced(c, ghost))
