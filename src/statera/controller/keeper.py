"""Prolongs the leases of running work, on a thread of its own: a long step must not starve them."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.engine import Connection

from statera.controller.converge import Held
from statera.store import work
from statera.store.database import Database

LOG = logging.getLogger(__name__)


class Keeper:
    """Knows the running work.  A lease that cannot be prolonged in time is lost at once."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease = lease_seconds
        self._lock = threading.Lock()
        self._running: dict[Held, float] = {}

    def add(self, held: Held) -> None:
        """Prolong a claim that was made just now, from now on."""
        with self._lock:
            self._running[held] = time.monotonic() + self._lease

    def remove(self, held: Held) -> None:
        """Let a claim be."""
        with self._lock:
            self._running.pop(held, None)

    def run(self, stop: threading.Event) -> None:
        """Prolong until `stop`."""
        while not stop.wait(self._lease / 3):
            self.beat()

    def beat(self) -> None:
        """Prolong every claim once."""
        with self._lock:
            running = list(self._running)
        for held in running:
            self._prolong(held)

    def _prolong(self, held: Held) -> None:
        began = time.monotonic()

        def extend(connection: Connection) -> bool:
            return work.extend(connection, held.claim, self._lease)

        try:
            kept = self._database.write(extend)
        except Exception as error:
            LOG.warning("lease.unreachable error=%s", type(error).__name__)
            kept = time.monotonic() < self._running.get(held, 0.0)
        else:
            with self._lock:
                if kept and held in self._running:
                    self._running[held] = began + self._lease
        with self._lock:
            if not kept and held in self._running:
                LOG.warning("lease.lost load_balancer=%s", held.claim.load_balancer_id)
                held.lost.set()
