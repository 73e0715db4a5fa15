"""Wires the controller, which makes wishes true."""

from __future__ import annotations

import signal
import threading

from statera.cli import edges
from statera.cli.context import Context
from statera.controller import daemon
from statera.controller.acting import Edges
from statera.controller.settings import ControllerSettings
from statera.service.readiness import notify_ready
from statera.store.database import Database


def main(context: Context) -> int:
    """Be the controller until SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    database = Database(context.database_url, durable=False)
    outside = Edges(
        database=database,
        networks=edges.networks(context, database),
        compute=edges.compute(context, database),
        wakes=context.wakes(),
    )
    notify_ready()  # nobody calls a controller: it serves as soon as it looks for work
    daemon.run(outside, context.get(ControllerSettings), stop)
    database.close()
    return 0
