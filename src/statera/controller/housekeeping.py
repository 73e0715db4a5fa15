"""What one controller at a time does for all: purge what is long deleted, notice the dead."""

from __future__ import annotations

import logging
import threading

from statera.controller.settings import ControllerSettings
from statera.service.wake import WORK, Wakes
from statera.store import leases, purging
from statera.store.database import Database

LOG = logging.getLogger(__name__)

LEASE = "housekeeping"


class Housekeeping:
    """Rounds under a named lease, which lasts two rounds."""

    def __init__(
        self, database: Database, wakes: Wakes, settings: ControllerSettings, holder: str
    ) -> None:
        self._database = database
        self._wakes = wakes
        self._settings = settings
        self._holder = holder

    def run(self, stop: threading.Event) -> None:
        """Go round until `stop`."""
        while not stop.is_set():
            try:
                self.round()
            except Exception:
                LOG.exception("housekeeping.failed")
            stop.wait(self._settings.cleanup_interval)
        leases.release(self._database, LEASE, self._holder)

    def round(self) -> bool:
        """Do everything once; False when another holds the lease."""
        seconds = 2 * self._settings.cleanup_interval
        if not leases.acquire(self._database, LEASE, self._holder, seconds):
            return False
        ages = self._settings
        write = self._database.write
        gone = write(lambda c: purging.load_balancers(c, ages.load_balancer_expiry_age))
        gone += write(lambda c: purging.amphorae(c, ages.amphora_expiry_age))
        due = write(purging.lapse_reservations)
        dead = write(purging.dead_gateways)
        if due:
            self._wakes.send(WORK)
        if gone or due or dead:
            LOG.info("housekeeping.done purged=%d lapsed=%d gateways=%d", gone, due, dead)
        return True
