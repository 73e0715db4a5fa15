"""Wires the gateway, where agents dial in."""

from __future__ import annotations

from statera.cli.context import Context
from statera.store.database import Database


def main(context: Context) -> int:
    """Be the gateway until SIGTERM."""
    from statera.gateway import daemon  # noqa: PLC0415

    database = Database(context.database_url, durable=False)
    daemon.main(database, context.wakes(), context.state.run / "gateway.sock")
    return 0
