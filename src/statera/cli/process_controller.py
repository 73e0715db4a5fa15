"""Wires the controller, which makes wishes true."""

from __future__ import annotations

from statera.cli import edges
from statera.cli.context import Context
from statera.store.database import Database


def main(context: Context) -> int:
    """Be the controller until SIGTERM."""
    from statera.controller import daemon  # noqa: PLC0415

    database = Database(context.database_url, durable=False)
    daemon.main(
        database,
        edges.networks(context, database),
        edges.compute(context, database),
        context.wakes(),
    )
    return 0
