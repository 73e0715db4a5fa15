"""The real store on SQLite, with a clock of its own and with faults between the statements.

A transaction is one moment; a process may lose its turn, or its life, before it and after it.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import greenlet
from oslo_db import exception as db_errors
from sqlalchemy import event
from sqlalchemy.engine import Connection

import statera.store.tables.objects
import statera.store.tables.placement
import statera.store.tables.work  # noqa: F401 (every table belongs to the file)
from statera.cloud.network import documents, ranges, tables
from statera.store.database import Database
from statera.store.schema import metadata
from statera.store.types import SQLITE_CLOCK
from tests.simulation.loop import CURRENT, Over
from tests.simulation.world import World

T = TypeVar("T")


NETWORKS = ("11111111-1111-4111-8111-111111111111", "12121212-1212-4212-8212-121212121212")
SUBNETS = ("22222222-2222-4222-8222-222222222222", "23232323-2323-4323-8323-232323232323")
_BIRTH = datetime.datetime(2027, 1, 15)  # as stored: UTC without a zone


def _lay_network(connection: Connection, network_id: str, subnet_id: str, prefix: str) -> None:
    """Make a network with one subnet of few addresses, so that they are soon given out again."""
    first, last = ranges.bounds(ipaddress.ip_network(f"{prefix}0/27"))
    named = {"project_id": "", "name": "", "description": ""}
    dated = {"revision_number": 1, "created_at": _BIRTH, "updated_at": _BIRTH}
    net = {"id": network_id, "admin_state_up": True, "shared": True, "mtu": 1500}
    connection.execute(tables.network.insert().values(**net, **named, **dated))
    connection.execute(
        tables.subnet.insert().values(
            id=subnet_id,
            network_id=network_id,
            ip_version=4,
            cidr=f"{prefix}0/27",
            first=ranges.ordinal(first),
            last=ranges.ordinal(last),
            gateway_ip=f"{prefix}1",
            enable_dhcp=True,
            allocation_pools=[{"start": f"{prefix}2", "end": f"{prefix}14"}],
            host_routes=[],
            dns_nameservers=[],
            **named,
            **dated,
        )
    )
    documents.publish(connection, network_id)


@cache
def _empty() -> bytes:
    """Return the file of a database with all tables, two networks and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        database = Database(f"sqlite:///{path}", durable=False)
        metadata.create_all(database.engine)
        with database.engine.begin() as connection:
            for number, network_id in enumerate(NETWORKS):
                _lay_network(connection, network_id, SUBNETS[number], f"10.{number}.0.")
        database.close()  # which moves everything from the log into the file
        return path.read_bytes()


class Faults:
    """What may go wrong with the database now: chances between 0 and 1."""

    def __init__(self) -> None:
        self.chance = 0.0
        self.unreachable: set[str] = set()
        """Names of processes (without their life) that the database does not answer."""
        self.doubtful: set[greenlet.greenlet] = set()
        """Threads that cannot know whether a commit of theirs happened."""


class Storage:
    """One SQLite file, and a `Database` for each process."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.faults = Faults()
        self.path = directory / "statera.db"
        self.path.write_bytes(_empty())
        self._owner = Database(f"sqlite:///{self.path}", durable=False)
        self._prepare(self._owner)
        self.eye = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        """Looks at the rows without anybody noticing."""

    def database(self) -> Database:
        """Return the database as a process sees it."""
        return _Seen(self, self._owner)

    def close(self) -> None:
        """Close everything and remove the file."""
        self.eye.close()
        self._owner.close()
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _prepare(self, database: Database) -> None:
        world, faults = self.world, self.faults

        @event.listens_for(database.engine, "connect")
        def _connect(dbapi: Any, _record: Any) -> None:
            dbapi.create_function(SQLITE_CLOCK, 0, world.database_now, deterministic=True)

        @event.listens_for(database.engine, "begin", insert=True)
        def _begin(_connection: Connection) -> None:
            name = CURRENT.get(world.outside).name.partition("#")[0]
            if name in faults.unreachable:
                raise db_errors.DBConnectionError
            self._perhaps(db_errors.DBConnectionError)

        @event.listens_for(database.engine, "before_cursor_execute")
        def _execute(*_arguments: Any) -> None:
            self._perhaps(db_errors.DBDeadlock)

        dialect = database.engine.dialect
        real: Callable[[Any], None] = dialect.do_commit

        def commit(connection: Any) -> None:
            if self._strikes():
                connection.rollback()  # as a server does for a client that is gone
                world.note("database.lost-in-commit", count="database errors")
                raise db_errors.DBConnectionError
            real(connection)
            if self._strikes():
                faults.doubtful.add(greenlet.getcurrent())
                world.note("database.lost-after-commit", count="doubtful commits")
                raise db_errors.DBConnectionError

        dialect.do_commit = commit  # type: ignore[assignment,method-assign]

    def _strikes(self) -> bool:
        chance = self.faults.chance
        return bool(chance) and self.world.random.random() < chance

    def _perhaps(self, error: type[Exception]) -> None:
        if self._strikes():
            self.world.note(f"database.{error.__name__}", count="database errors")
            raise error


class _Seen(Database):
    """The database of one process: each transaction takes a while, and others run meanwhile."""

    def __init__(self, storage: Storage, owner: Database) -> None:
        self.engine = owner.engine
        self._reader = owner._reader
        self._turn = contextlib.nullcontext  # nobody pauses inside a transaction
        self.dialect = owner.dialect
        self._storage = storage

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a transaction, with pauses around it."""
        self._wait()
        try:
            return super().write(work)
        finally:
            self._done("write", work)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run a transaction, with pauses around it."""
        self._wait()
        try:
            return super().read(work)
        finally:
            self._done("read", work)

    def _wait(self) -> None:
        world = self._storage.world
        if world.loop.over:
            raise Over
        if world.loop.in_thread():
            world.loop.pause(world.random.expovariate(1000.0))

    def _done(self, kind: str, work: Callable[[Connection], Any]) -> None:
        world = self._storage.world
        if world.loop.over:
            return
        name = getattr(work, "__qualname__", type(work).__name__)
        world.note(f"{kind} {name}", count="transactions")
        if kind == "write":
            world.dirty = True
        if world.loop.in_thread():
            world.loop.pause(world.random.expovariate(2000.0))
