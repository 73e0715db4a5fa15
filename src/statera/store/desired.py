"""Loads one load balancer with everything under it, and what is noted about its amphorae.

A handful of statements whatever its size.  READ COMMITTED gives each statement a view of its own;
every write raises the load balancer's generation, so reading that first and last tells a torn view.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.declare import made
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.load_balancer import AdditionalVip, LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.plan.desired import Desired
from statera.plan.observation import DELETED, Amphora, Published, Reported
from statera.spec.document import AmphoraSpec
from statera.spec.report import Fault
from statera.store.tables import objects
from statera.store.tables.placement import amphora, document, machine, observation
from statera.store.types import now

T = TypeVar("T", Listener, Pool, Member, HealthMonitor)

_UNREAD = ("created_at", "updated_at")
"""Columns for users only, stored as dates."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database knows; `now` is its clock (seconds since 1970)."""

    desired: Desired
    amphorae: tuple[Amphora, ...]
    now: float


def load(connection: Connection, load_balancer_id: str) -> Stored | None:
    """Return a load balancer with its amphorae; None if it is gone or DELETED."""
    desired = load_desired(connection, load_balancer_id)
    if desired is None:
        return None
    moment = connection.scalar(sa.select(now()))
    return Stored(desired, _amphorae(connection, load_balancer_id), moment or 0.0)


def load_desired(connection: Connection, load_balancer_id: str) -> Desired | None:
    """Return a load balancer with everything under it; None if it is gone or DELETED."""
    while True:
        balancer = _load_balancer(connection, load_balancer_id)
        if balancer is None:
            return None
        desired = Desired(
            load_balancer=balancer,
            listeners=_children(connection, objects.listener, Listener, load_balancer_id),
            pools=_children(connection, objects.pool, Pool, load_balancer_id),
            members=_children(connection, objects.member, Member, load_balancer_id),
            monitors=_children(connection, objects.health_monitor, HealthMonitor, load_balancer_id),
        )
        generation = connection.scalar(
            sa.select(objects.load_balancer.c.generation).where(
                objects.load_balancer.c.id == load_balancer_id
            )
        )
        if generation == balancer.generation:
            return desired


def _load_balancer(connection: Connection, load_balancer_id: str) -> LoadBalancer | None:
    table, vips = objects.load_balancer, objects.additional_vip
    row = (
        connection.execute(
            _read(table).where(table.c.id == load_balancer_id, table.c.deleted_at.is_(None))
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    more = connection.execute(
        sa.select(vips.c.subnet_id, vips.c.ip_address, vips.c.port_id)
        .where(vips.c.load_balancer_id == load_balancer_id)
        .order_by(vips.c.position)
    )
    return made(
        LoadBalancer, row, additional_vips=[made(AdditionalVip, each) for each in more.mappings()]
    )


def _children(
    connection: Connection, table: sa.Table, declared: type[T], load_balancer_id: str
) -> tuple[T, ...]:
    found = connection.execute(
        _read(table)
        .where(table.c.load_balancer_id == load_balancer_id)
        .order_by(table.c.born, table.c.created_at, table.c.id)
    )
    return tuple(made(declared, row) for row in found.mappings())


def _read(table: sa.Table) -> sa.Select[Any]:
    return sa.select(*(column for column in table.c if column.name not in _UNREAD))


def _amphorae(connection: Connection, load_balancer_id: str) -> tuple[Amphora, ...]:
    published = [column.label(f"d_{column.name}") for column in document.columns]
    reported = [column.label(f"o_{column.name}") for column in observation.columns]
    found = connection.execute(
        sa.select(amphora, machine.c.connected, machine.c.abilities, *published, *reported)
        .select_from(
            amphora.outerjoin(document, document.c.id == amphora.c.id)
            .outerjoin(observation, observation.c.amphora_id == amphora.c.id)
            .outerjoin(machine, machine.c.id == amphora.c.machine_id)
        )
        .where(amphora.c.load_balancer_id == load_balancer_id, amphora.c.status != DELETED)
        .order_by(amphora.c.created_at, amphora.c.id)
    )
    return tuple(_amphora(row) for row in found)


def _amphora(row: sa.Row[Any]) -> Amphora:
    return Amphora(
        id=row.id,
        role=row.role,
        status=row.status,
        born=row.born,
        machine_id=row.machine_id,
        compute_id=row.compute_id,
        port_id=row.port_id,
        vrrp_ip=row.vrrp_ip,
        ports=row.ports,
        connected=bool(row.connected),
        abilities=frozenset(row.abilities or ()),
        published=_published(row),
        reported=_reported(row),
    )


def _published(row: sa.Row[Any]) -> Published | None:
    if row.d_id is None:
        return None
    body = row.d_body
    return Published(
        epoch=row.d_epoch,
        revision=row.d_revision,
        generation=row.d_generation,
        retired=row.d_retired,
        spec=msgspec.msgpack.decode(body, type=AmphoraSpec) if body is not None else None,
    )


def _reported(row: sa.Row[Any]) -> Reported | None:
    if row.o_amphora_id is None:
        return None
    return Reported(
        epoch=row.o_epoch,
        revision=row.o_revision,
        generation=row.o_generation,
        serving=row.o_serving,
        retired=row.o_retired,
        faults=faults_of(row.o_faults),
        estranged=row.o_estranged,
    )


def faults_of(stored: Iterable[Any]) -> tuple[Fault, ...]:
    """Return faults from their stored form."""
    return tuple(msgspec.convert(list(stored), list[Fault]))
