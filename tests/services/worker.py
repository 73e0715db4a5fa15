"""A controller process without a data plane, for tests that kill it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.synchronize import Event
from pathlib import Path

from statera.controller import daemon
from statera.controller.acting import Edges
from statera.controller.settings import ControllerSettings
from statera.edges.compute.noop import NoopCompute
from statera.edges.network.noop import NoopNetworks
from statera.service.wake import Wakes
from statera.store.database import Database

LEASE = 5.0
SETTINGS = ControllerSettings(lease_seconds=LEASE, poll_interval=0.2, max_backoff=1.0)


def _follow() -> None:
    """End when the process of the test has ended, however it has."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def run(url: str, directory: Path, ready: Event) -> None:
    """Work until killed, or until whoever has started it is gone; set `ready` at the begin."""
    threading.Thread(target=_follow, daemon=True).start()
    database = Database(url, durable=False)
    edges = Edges(database, NoopNetworks(), NoopCompute(), Wakes(directory / "wake"))
    ready.set()
    daemon.run(edges, SETTINGS, threading.Event())
