"""An API process that kills itself at a checkpoint: run by test_reservations.

usage: python -m tests.services.mortal DATABASE-URL DIRECTORY PORT

The name of the checkpoint is read from the file `die-at` of the directory, each time anew.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from statera.api.app import create_app
from statera.api.context import ApiContext
from statera.api.settings import ApiSettings
from statera.cli.context import ServerSettings
from statera.cli.mount import Application
from statera.cli.serve import serve
from statera.cloud.network.embedded import EmbeddedNetworks
from statera.edges.identity.noauth import NoAuth
from statera.edges.keys.noop import NoopKeys
from statera.service.wake import Wakes
from statera.store.database import Database

GRACE = 2.0
"""Seconds that a reservation stands."""


def main(url: str, directory: Path, port: int) -> int:
    """Serve until killed."""

    def checkpoint(name: str) -> None:
        if name == (directory / "die-at").read_text():
            os.kill(os.getpid(), signal.SIGKILL)

    def build() -> Application:
        database = Database(url)
        return create_app(
            ApiContext(
                database,
                NoAuth(),
                EmbeddedNetworks(database),
                NoopKeys(),
                Wakes(directory / "wake"),
                ApiSettings(reservation_seconds=GRACE),
                checkpoint,
            )
        )

    return serve(build, ServerSettings(bind_port=port))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
