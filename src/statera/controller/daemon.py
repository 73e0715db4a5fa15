"""The controller process: claims due work and converges it on worker threads.

One thread claims for all workers of the process: on SQLite there can be only one, elsewhere
`SKIP LOCKED` keeps the controllers apart.  Wake-ups make it fast; a slow poll finds what they miss.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.engine import Connection

from statera.controller import holder
from statera.controller.acting import Checkpoint, Edges
from statera.controller.converge import Converger, Held
from statera.controller.housekeeping import Housekeeping
from statera.controller.keeper import Keeper
from statera.controller.settings import ControllerSettings
from statera.service.wake import WORK
from statera.store import work
from statera.store.work import Claim

LOG = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that running work gets to end at a stop; then its lease runs out."""


def run(
    edges: Edges,
    settings: ControllerSettings,
    stop: threading.Event,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Run a controller until `stop` is set."""
    _Controller(edges, settings, holder.ours(), checkpoint).run(stop)


class _Controller:
    def __init__(
        self,
        edges: Edges,
        settings: ControllerSettings,
        owner: str,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._edges = edges
        self._settings = settings
        self._owner = owner
        self._checkpoint = checkpoint or (lambda _name: None)
        self._converger = Converger(edges, settings, checkpoint)
        self._keeper = Keeper(edges.database, settings.lease_seconds)
        self._free = settings.workers
        self._lock = threading.Lock()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)

    def run(self, stop: threading.Event) -> None:
        LOG.info("controller.started owner=%s workers=%d", self._owner, self._settings.workers)
        housekeeping = Housekeeping(
            self._edges.database, self._edges.wakes, self._settings, self._owner
        )
        self._bury_predecessors()
        ended = threading.Event()
        helpers = [
            threading.Thread(target=self._keeper.run, args=(ended,), name="keeper"),
            threading.Thread(target=housekeeping.run, args=(ended,), name="housekeeping"),
            threading.Thread(target=self._ring_at, args=(stop, ended), name="stopper"),
        ]
        for helper in helpers:
            helper.daemon = True
            helper.start()
        pool = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="worker")
        try:
            with contextlib.closing(self._edges.wakes.listen(WORK)) as woken:
                while not stop.is_set():
                    self._turn(pool, woken)
        finally:
            self._leave(pool, ended, helpers)

    def _bury_predecessors(self) -> None:
        """End the leases of controllers that died on this machine: nobody works under them."""

        def bury(connection: Connection) -> int:
            dead = [each for each in work.holders(connection) if holder.is_dead(each)]
            return sum(work.release_dead(connection, each) for each in dead)

        try:
            ended = self._edges.database.write(bury)
        except Exception as error:
            LOG.warning("lease.unreachable error=%s", type(error).__name__)
        else:
            LOG.info("lease.ended count=%d", ended)

    def _leave(
        self, pool: ThreadPoolExecutor, ended: threading.Event, helpers: list[threading.Thread]
    ) -> None:
        closing = threading.Thread(target=pool.shutdown, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        ended.set()
        for helper in helpers:
            helper.join(PATIENCE)
        LOG.info("controller.stopped owner=%s", self._owner)

    def _turn(self, pool: ThreadPoolExecutor, woken: socket.socket) -> None:
        """Claim what there are workers for, then wait for a wake-up or for a worker."""
        with self._lock:
            free = self._free
        until = time.monotonic() + self._settings.lease_seconds
        claims = self._claim(free) if free else []
        for claim in claims:
            held = Held(claim, until)
            self._keeper.add(held)
            with self._lock:
                self._free -= 1
            pool.submit(self._work, held)
        self._wait(woken)

    def _claim(self, limit: int) -> list[Claim]:
        def claim(connection: Connection) -> list[Claim]:
            return work.claim(connection, self._owner, self._settings.lease_seconds, limit)

        try:
            return self._edges.database.write(claim)
        except Exception as error:
            LOG.warning("work.unclaimed error=%s text=%s", type(error).__name__, error)
            return []

    def _work(self, held: Held) -> None:
        try:
            self._checkpoint("claimed")
            self._converger.work(held)
            self._checkpoint("given-back")
        finally:
            self._keeper.remove(held)
            with self._lock:
                self._free += 1
            os.eventfd_write(self._bell, 1)

    def _wait(self, woken: socket.socket) -> None:
        watched = [woken.fileno(), self._bell]
        select.select(watched, [], [], self._settings.poll_interval)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        with contextlib.suppress(BlockingIOError):
            while True:
                woken.recv(16)

    def _ring_at(self, stop: threading.Event, ended: threading.Event) -> None:
        while not ended.is_set() and not stop.wait(1.0):
            pass
        os.eventfd_write(self._bell, 1)
