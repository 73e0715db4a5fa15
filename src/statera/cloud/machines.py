"""The embedded compute service: amphorae run on the machines whose agents are connected."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.edges.compute.protocol import Placement
from statera.lb.errors import Retryable
from statera.store.database import Database
from statera.store.tables.placement import amphora, machine


class MachinesCompute:
    """Implements `edges.compute.protocol.Compute`.

    It creates nothing: a machine's agent makes an amphora as soon as a document names it.
    """

    reports = True

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self, amphora_id: str, load_balancer_id: str) -> Placement:  # noqa: ARG002
        """Return where the amphora already is, or the connected machine with the fewest amphorae.

        Raise `lb.errors.Retryable` when no machine is connected.
        """

        def work(connection: Connection) -> str | None:
            placed: str | None = connection.scalar(
                sa.select(amphora.c.machine_id).where(
                    amphora.c.id == amphora_id, amphora.c.status != "DELETED"
                )
            )
            if placed is not None:
                return placed
            return connection.execute(_emptiest(amphora_id)).scalars().first()

        machine_id = self._database.read(work)
        if machine_id is None:
            raise Retryable("no machine is connected")
        return Placement(machine_id)

    def release(self, amphora_id: str) -> None:
        """Do nothing: the room is free as soon as the amphora's row says so."""


def _emptiest(amphora_id: str) -> sa.Select[Any]:
    load = (
        sa.select(sa.func.count())
        .where(
            amphora.c.machine_id == machine.c.id,
            amphora.c.status != "DELETED",
            amphora.c.id != amphora_id,
        )
        .scalar_subquery()
    )
    return (
        sa.select(machine.c.id)
        .where(machine.c.connected.is_(sa.true()))
        .order_by(load, machine.c.id)
        .limit(1)
    )
