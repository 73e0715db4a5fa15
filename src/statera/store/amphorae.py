"""Rows of amphorae: written by the worker that holds the load balancer's fence."""

from __future__ import annotations

import datetime
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.plan.observation import ALLOCATED, DELETED, PENDING_CREATE, PENDING_DELETE
from statera.store.tables.placement import amphora


def moment() -> datetime.datetime:
    """Return the time shown to users: UTC, without a zone, as stored."""
    return datetime.datetime.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)


def add(
    connection: Connection, amphora_id: str, load_balancer_id: str, role: str, generation: int
) -> None:
    """Store a new amphora; nothing happens if it is there."""
    known = connection.scalar(sa.select(amphora.c.id).where(amphora.c.id == amphora_id))
    if known is None:
        connection.execute(
            sa.insert(amphora).values(
                id=amphora_id,
                load_balancer_id=load_balancer_id,
                status=PENDING_CREATE,
                role=role,
                born=generation,
                ports={},
                created_at=moment(),
            )
        )


def place(connection: Connection, amphora_id: str, machine_id: str, compute_id: str | None) -> None:
    """Note where an amphora runs."""
    _change(connection, amphora_id, machine_id=machine_id, compute_id=compute_id)


def plug_vip_network(
    connection: Connection, amphora_id: str, port_id: str, address: str | None
) -> None:
    """Note the port of an amphora on the VIP network and the amphora's own address there."""
    _change(connection, amphora_id, port_id=port_id, vrrp_ip=address)


def plug_subnet(
    connection: Connection, amphora_id: str, subnet_id: str, port_id: str | None
) -> None:
    """Note the port of an amphora on a members' subnet: empty while it is made, None: gone."""
    ports = connection.scalar(
        sa.select(amphora.c.ports).where(amphora.c.id == amphora_id).with_for_update()
    )
    changed = {key: value for key, value in (ports or {}).items() if key != subnet_id}
    if port_id is not None:
        changed[subnet_id] = port_id
    _change(connection, amphora_id, ports=changed)


def enlist(connection: Connection, ids: tuple[str, ...]) -> None:
    """Note that amphorae are in service."""
    connection.execute(
        sa.update(amphora)
        .where(amphora.c.id.in_(ids), amphora.c.status != ALLOCATED)
        .values(status=ALLOCATED, updated_at=moment())
    )


def doom(connection: Connection, amphora_id: str) -> None:
    """Note that an amphora is being taken away."""
    _change(connection, amphora_id, status=PENDING_DELETE)


def bury(connection: Connection, amphora_id: str) -> None:
    """Note that nothing of an amphora is left; the row stays, hidden, until it is purged."""
    _change(connection, amphora_id, status=DELETED, port_id=None, ports={})


def _change(connection: Connection, amphora_id: str, **values: Any) -> None:
    connection.execute(
        sa.update(amphora).where(amphora.c.id == amphora_id).values(updated_at=moment(), **values)
    )
