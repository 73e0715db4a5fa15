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
    """Knows the running work.  Work whose lease could not be prolonged in time stops by itself."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease = lease_seconds
        self._lock = threading.Lock()
        self._running: dict[Held, None] = {}

    def add(self, held: Held) -> None:
        """Prolong a claim from now on."""
        with self._lock:
            self._running[held] = None

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
        until = time.monotonic() + self._lease

        def extend(connection: Connection) -> bool:
            return work.extend(connection, held.claim, self._lease)

        try:
            kept = self._database.write(extend)
        except Exception as error:
            LOG.warning("lease.unreachable error=%s", type(error).__name__)
            return
        with self._lock:
            running = held in self._running
        if kept:
            held.until = until
        elif running:
            LOG.warning("lease.lost load_balancer=%s", held.claim.load_balancer_id)
            held.until = 0.0
