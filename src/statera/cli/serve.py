"""Serves a WSGI application with granian, embedded so that no process outlives another.

Facts about granian 2.8 that this module answers (each held by a test):

- The main process forks a worker, which listens; killed by `kill -9`, the main process would leave
  the worker serving for ever.  The worker therefore binds its life to the main process.
- A killed worker is forked again within milliseconds, because its modules are loaded already; the
  second death within 5.5 s ends the main process, and the supervisor takes over.
- Listeners share their port (`SO_REUSEPORT`): two servers would silently divide the requests
  between them.  The port is therefore tried exclusively before the server starts.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from statera.cli.context import ServerSettings
from statera.cli.doctor.machine import check_port
from statera.cli.mount import Application
from statera.service.lifeline import bind_to
from statera.service.readiness import notify_ready

LOG = logging.getLogger(__name__)
_LOGGERS = {
    "loggers": {
        "_granian": {"handlers": [], "level": "ERROR", "propagate": True},
        "granian.access": {"handlers": [], "level": "WARNING", "propagate": False},
    }
}


def serve(build: Callable[[], Application], settings: ServerSettings) -> int:
    """Serve until SIGTERM or SIGINT; `build` is called in the worker, after the fork.

    Return the exit code: 1 when the port belongs to somebody else or the worker dies repeatedly.
    """
    if not _port_is_free(settings):
        return 1
    main_pid = os.getpid()

    def load() -> Application:
        bind_to(main_pid)
        application = build()
        threading.Thread(target=_announce, args=(settings,), daemon=True, name="ready").start()
        return application

    server = Granian(
        "statera",
        address=settings.bind_host,
        port=settings.bind_port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.threads,
        respawn_failed_workers=True,
        respawn_interval=0.0,
        workers_kill_timeout=5,
        log_level=LogLevels.error,
        log_dictconfig=_LOGGERS,
    )
    try:
        server.serve(target_loader=load, wrap_loader=False)
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def _port_is_free(settings: ServerSettings) -> bool:
    """Wait for the predecessor's worker, which may take a moment to die; False if it is another."""
    deadline = time.monotonic() + settings.takeover_seconds
    while True:
        try:
            check_port(settings.bind_host, settings.bind_port)
        except OSError as error:
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            address = f"{settings.bind_host}:{settings.bind_port}"
            LOG.error("server.unbindable address=%s error=%s", address, error)
            print(f"{address} cannot be served: {error}", file=sys.stderr)
            return False
        return True


def _announce(settings: ServerSettings) -> None:
    """Say that we are ready once the listener, which granian opens after `load`, answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection((settings.bind_host, settings.bind_port), timeout=1).close()
        except OSError:
            time.sleep(0.002)
            continue
        LOG.info("server.ready address=%s:%d", settings.bind_host, settings.bind_port)
        notify_ready()
        return
