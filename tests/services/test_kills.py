"""Workers killed -9 all the time lose nothing, and none works on what another holds."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from falcon.testing import TestClient

from statera.api.app import create_app
from statera.api.context import ApiContext
from statera.api.settings import ApiSettings
from statera.edges.identity.noauth import NoAuth
from statera.edges.keys.noop import NoopKeys
from statera.edges.network.noop import NoopNetworks
from statera.service.wake import Wakes
from statera.store.database import Database
from statera.store.tables import objects
from statera.store.tables.work import work
from tests.databases import tables
from tests.installation import eventually
from tests.services import journal
from tests.services.house import HEADERS, together
from tests.services.worker import LEASE, run

SECONDS = float(os.environ.get("STATERA_SOAK_SECONDS", "15"))
WORKERS = WRITERS = 3
BALANCERS = 40
SUBNET = "00000000-0000-4000-8000-0000000000fb"


class Workers:
    """Controller processes; one that is killed is started again at once."""

    def __init__(self, url: str, directory: Path) -> None:
        self._arguments = (url, directory)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.services.worker", "psycopg", "MySQLdb"])
        self._ready = [self._context.Event() for _ in range(WORKERS)]
        self._running = [self._start(place) for place in range(WORKERS)]
        self.killed = 0
        self.died: list[int | None] = []
        """Exit codes of those that nobody has killed."""

    def _start(self, place: int) -> ForkServerProcess:
        self._ready[place].clear()
        arguments = (*self._arguments, self._ready[place])
        process = self._context.Process(target=run, args=arguments, daemon=True)
        process.start()
        return process

    def wait(self) -> None:
        """Wait until all of them work."""
        for each in self._ready:
            assert each.wait(60)

    def kill_one(self, chosen: random.Random) -> None:
        """Kill any of them."""
        place = chosen.randrange(WORKERS)
        self._kill(self._running[place])
        self._running[place] = self._start(place)
        self.killed += 1

    def end(self) -> None:
        """Kill all of them."""
        for process in self._running:
            self._kill(process)

    def _kill(self, process: ForkServerProcess) -> None:
        if not process.is_alive():
            self.died.append(process.exitcode)
        process.kill()
        process.join()


class Writer:
    """Writes on load balancers of its own, and remembers what it has been promised."""

    def __init__(self, client: TestClient, number: int) -> None:
        self._client = client
        self._random = random.Random(number)
        self.names: dict[str, str] = {}
        self.pools: dict[str, str] = {}
        self.members: dict[str, dict[str, int]] = {}
        """Load balancer id -> member id -> weight."""

    def _call(self, method: str, path: str, root: str, **values: Any) -> Any:
        result = self._client.simulate_request(
            method, f"/v2.0/lbaas{path}", json={root: values} if values else None, headers=HEADERS
        )
        assert result.status_code in {200, 201, 204}, f"{method} {path}: {result.text}"
        return result.json[root] if result.content else None

    def create(self) -> None:
        """Make a load balancer with a pool."""
        made = self._call("POST", "/loadbalancers", "loadbalancer", vip_subnet_id=SUBNET)["id"]
        values = {"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN", "loadbalancer_id": made}
        self.names[made], self.members[made] = "", {}
        self.pools[made] = self._call("POST", "/pools", "pool", **values)["id"]
        listener = {"protocol": "TCP", "protocol_port": 80, "default_pool_id": self.pools[made]}
        self._call("POST", "/listeners", "listener", loadbalancer_id=made, **listener)

    def write(self, turn: int) -> None:
        """Change anything."""
        root = self._random.choice(list(self.names))
        members, path = self.members[root], f"/pools/{self.pools[root]}/members"
        what = self._random.randrange(4)
        if what == 0:
            self._call("PUT", f"/loadbalancers/{root}", "loadbalancer", name=f"n{turn}")
            self.names[root] = f"n{turn}"
        elif what == 1 or not members:
            address = f"10.{turn >> 16}.{turn >> 8 & 255}.{turn & 255}"
            made = self._call("POST", path, "member", address=address, protocol_port=80)
            members[made["id"]] = 1
        elif what == 2:
            member = self._random.choice(list(members))
            self._call("PUT", f"{path}/{member}", "member", weight=turn % 256)
            members[member] = turn % 256
        else:
            member = self._random.choice(list(members))
            self._call("DELETE", f"{path}/{member}", "member")
            del members[member]


@contextmanager
def recorded(database: Database) -> Iterator[None]:
    """Record who works on what."""
    journal.keep(database)
    try:
        yield
    finally:
        journal.drop(database)


def rows(database: Database, table: sa.Table, *where: sa.ColumnElement[bool]) -> list[Any]:
    """Return rows of a table."""
    return database.read(lambda c: list(c.execute(sa.select(table).where(*where))))


def left(database: Database) -> list[Any]:
    """Return what is due or held."""
    return rows(database, work, sa.or_(work.c.due_at.is_not(None), work.c.leased_by.is_not(None)))


@pytest.fixture
def database(database_kind: str, tmp_path: Path) -> Iterator[Database]:
    """Yield a database that records who works on what."""
    with tables(database_kind, tmp_path) as made, recorded(made):
        yield made


def test_killed_workers_lose_nothing(database: Database, tmp_path: Path) -> None:
    """All generations applied, nothing due, no second owner, drained within lease + 2 s."""
    url = database.engine.url.render_as_string(hide_password=False)
    wakes = Wakes(tmp_path / "wake")
    context = ApiContext(database, NoAuth(), NoopNetworks(), NoopKeys(), wakes, ApiSettings())
    writers = [Writer(TestClient(create_app(context)), number) for number in range(WRITERS)]
    for number in range(BALANCERS):
        writers[number % WRITERS].create()
    workers, over = Workers(url, tmp_path), Event()

    def kill() -> None:
        chosen = random.Random(WRITERS)
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                over.wait(min(1.0, SECONDS / 5))
                workers.kill_one(chosen)
        finally:
            over.set()

    def write(writer: Writer) -> int:
        turn = 0
        while not over.is_set():
            turn += 1
            writer.write(turn)
        return turn

    try:
        _, *written = together(kill, *(lambda writer=each: write(writer) for each in writers))
        workers.wait()
        with contextlib.suppress(AssertionError):
            eventually("drained", lambda: not left(database), LEASE + 2)
        assert left(database) == []
    finally:
        workers.end()
    print(f"{sum(written)} writes, {workers.killed} kills, {journal.claims(database)} claims")
    assert workers.died == []
    check(database, writers)
    assert journal.owners(database) >= WORKERS
    assert journal.claims(database) >= BALANCERS


def check(database: Database, writers: list[Writer]) -> None:
    """Hold every promise against what is stored and in force."""
    for table in (objects.load_balancer, *objects.CHILDREN):
        for row in rows(database, table):
            assert (row.settled, row.pending_since, row.live) == (row.generation, None, 1), row
            assert row.fault is None, row
    for writer in writers:
        for root, name in writer.names.items():
            (row,) = rows(database, objects.load_balancer, objects.load_balancer.c.id == root)
            assert row.name == name
            found = rows(database, objects.member, objects.member.c.load_balancer_id == root)
            assert {each.id: each.weight for each in found} == writer.members[root]
