"""One schedule's world: its clock, its dice, its processes and the record of what happened.

While it runs, `time`, `uuid.uuid4` and the shared dice of `random` are its own, so the code under
test is the one of production, to the letter.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import logging
import random
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from random import Random
from typing import Any, TypeVar
from unittest import mock

from oslo_db import exception as db_errors

from statera.lb.errors import Retryable
from tests.simulation.loop import CURRENT, Loop, Process

T = TypeVar("T")

EPOCH = 1_800_000_000.0
"""Seconds since 1970 at which every schedule begins."""


class Broken(AssertionError):
    """An invariant does not hold."""


class World:
    """Shared by everything of one schedule."""

    def __init__(self, seed: int, *, verbose: bool = False) -> None:
        self.seed = seed
        self.random = self.dice("world")
        self.verbose = verbose
        self.outside = Process("outside")
        self.loop = Loop(self.dice("order"), self._stepped)
        self.database_skew = 0.0
        self.checks: list[Callable[[], None]] = []
        """Run after every step that may have changed what they look at."""
        self.dirty = False
        self.failure: BaseException | None = None
        self.counts: dict[str, int] = {}
        self._ids = self.dice("ids")
        self._lives: dict[str, int] = {}
        self._hash = hashlib.blake2b(digest_size=16)
        self._recent: list[str] = []

    def dice(self, use: str) -> Random:
        """Return dice of their own for one use."""
        return Random(f"{self.seed}/{use}")

    @property
    def trace(self) -> str:
        """Return the digest of everything that happened."""
        return self._hash.hexdigest()

    @property
    def recent(self) -> list[str]:
        """Return the last things that happened."""
        return self._recent[-60:]

    def note(self, event: str, *, count: str | None = None) -> None:
        """Write down that something happened."""
        if self.loop.over:
            return
        process = CURRENT.get(self.outside)
        line = f"{self.loop.now:.6f} {process.name} {event}"
        self._hash.update(line.encode())
        self._recent.append(line)
        if len(self._recent) > 2000:
            del self._recent[:1000]
        if count:
            self.counts[count] = self.counts.get(count, 0) + 1
        if self.verbose:
            print(line)

    def process(self, name: str) -> Process:
        """Return a new life of a process."""
        life = self._lives[name] = self._lives.get(name, 0) + 1
        return Process(f"{name}#{life}")

    def start(self, process: Process, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine as part of a process."""
        task = process.within(self.loop.create_task, work)
        task.add_done_callback(self._ended)
        return task

    def run(self, main: Awaitable[None]) -> None:
        """Run until `main` has ended; raise what broke."""
        with self._in_force():
            self.outside.within(self._run, main)

    def _run(self, main: Any) -> None:
        try:
            task = self.loop.create_task(main)
            task.add_done_callback(lambda _task: self.loop.stop())
            self.loop.run_forever()
            if self.failure is not None:
                raise self.failure
            task.result()
        finally:
            self.loop.finish()

    def _ended(self, task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.fail(task.exception())

    def fail(self, error: BaseException) -> None:
        """End the schedule: something is broken."""
        if self.failure is None:
            self.failure = error
        self.loop.stop()

    def _stepped(self) -> None:
        if self.dirty and self.failure is None:
            self.dirty = False
            try:
                for check in self.checks:
                    check()
            except Exception as error:
                self.fail(error)

    def database_now(self) -> float:
        """Return the database's clock, seconds since 1970."""
        return EPOCH + self.loop.now + self.database_skew

    def _wall(self) -> float:
        return EPOCH + self.loop.now + CURRENT.get(self.outside).skew

    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._ids.getrandbits(128), version=4)

    @contextlib.contextmanager
    def _in_force(self) -> Iterator[None]:
        """Let the standard library tell this world's time; other threads keep theirs."""
        ours = threading.get_ident()

        def instead(real: Callable[..., T], virtual: Callable[..., T]) -> Callable[..., T]:
            def chosen(*arguments: Any) -> T:
                return (virtual if threading.get_ident() == ours else real)(*arguments)

            return chosen

        before = random.getstate()
        random.seed(self.seed)
        gc.disable()
        watch = _Watch(self)
        logging.getLogger("statera").addHandler(watch)
        logging.getLogger("oslo_db").addHandler(_SILENT)  # it is told of the faults that we make
        try:
            with (
                mock.patch.object(time, "time", instead(time.time, self._wall)),
                mock.patch.object(time, "monotonic", instead(time.monotonic, self.loop.time)),
                mock.patch.object(time, "sleep", instead(time.sleep, self.loop.pause)),
                mock.patch.object(uuid, "uuid4", self._uuid),
            ):
                yield
        finally:
            logging.getLogger("statera").removeHandler(watch)
            gc.enable()
            random.setstate(before)


_SILENT = logging.NullHandler()
FORESEEN = (db_errors.DBError, Retryable)
"""What may be logged as an error, because it is none of the code's."""


class _Watch(logging.Handler):
    """An exception that the code under test did not foresee ends the schedule."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.DEBUG if world.verbose else logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if self._world.loop.over:
            return
        if self._world.verbose:
            print("    ", record.levelname, record.getMessage())
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Exception) and not isinstance(error, FORESEEN):
            self._world.note(f"unforeseen {record.getMessage()} {error!r}")
            self._world.fail(error)
