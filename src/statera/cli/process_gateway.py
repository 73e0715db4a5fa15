"""Wires the gateway, where agents dial in."""

from __future__ import annotations

import asyncio
import dataclasses
import signal

from statera.cli.context import Context
from statera.gateway import daemon
from statera.gateway.settings import GatewaySettings
from statera.service.readiness import notify_ready
from statera.store.database import Database


def main(context: Context) -> int:
    """Be the gateway until SIGTERM."""
    settings = context.get(GatewaySettings)
    if settings.socket == GatewaySettings().socket:  # nobody chose one: this installation's own
        settings = dataclasses.replace(settings, socket=str(context.gateway_socket))
    database = Database(context.database_url, durable=False)
    asyncio.run(_run(context, database, settings))
    database.close()
    return 0


async def _run(context: Context, database: Database, settings: GatewaySettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await daemon.run(database, context.wakes(), settings, stop, notify_ready)
