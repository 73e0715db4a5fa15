"""Wishes as the API writes them, in the fewest words: for tests of what happens afterwards."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.listener import ListenerTraffic
from statera.store.database import Database
from statera.store.tables import objects
from statera.store.types import now
from statera.store.work import nudge
from tests.unit.plan.rows import fresh_id

NETWORK = "00000000-0000-4000-8000-0000000000a0"
SUBNET = "00000000-0000-4000-8000-0000000000fb"
"""Of this network, as the no-op network service has it."""
MOMENT = datetime.datetime(2026, 1, 1)

DEFAULTS: dict[sa.Table, dict[str, Any]] = {
    objects.listener: {
        "protocol": "HTTP",
        "protocol_port": 80,
        "port_space": "TCP",
        "sni_container_refs": [],
        "client_authentication": "NONE",
        "hsts_include_subdomains": False,
        "hsts_preload": False,
        "operating_status": "OFFLINE",
        **msgspec.structs.asdict(ListenerTraffic()),
        "allowed_cidrs": None,
    },
    objects.pool: {
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "tls_enabled": False,
        "operating_status": "OFFLINE",
    },
    objects.member: {
        "address": "10.1.0.20",
        "protocol_port": 8080,
        "weight": 1,
        "backup": False,
        "vnic_type": "normal",
        "operating_status": "NO_MONITOR",
    },
    objects.health_monitor: {
        "type": "HTTP",
        "delay": 5,
        "timeout": 3,
        "max_retries": 2,
        "max_retries_down": 3,
        "operating_status": "OFFLINE",
    },
}


def _row(generation: int, **values: Any) -> dict[str, Any]:
    return {
        "id": fresh_id(),
        "project_id": "project",
        "name": "",
        "admin_state_up": True,
        "created_at": MOMENT,
        "generation": generation,
        "changed": generation,
        "born": generation,
        "settled": 0,
        "live": 1,
        **values,
    }


def create(database: Database, **values: Any) -> str:
    """Wish for a load balancer; return its id."""
    row = _row(
        1,
        **{
            "provider": "amphora",
            "topology": "SINGLE",
            "operating_status": "OFFLINE",
            "vip_address": "10.1.0.10",
            "vip_port_id": fresh_id(),
            "vip_port_owned": True,
            "vip_subnet_id": SUBNET,
            "vip_network_id": NETWORK,
            "vip_sg_ids": [],
            "vip_vnic_type": "normal",
            **values,
        },
    )

    def work(connection: Connection) -> None:
        connection.execute(sa.insert(objects.load_balancer).values(pending_since=now(), **row))
        nudge(connection, row["id"])

    database.write(work)
    owner: str = row["id"]
    return owner


def _next(connection: Connection, load_balancer_id: str) -> int:
    table = objects.load_balancer
    generation: int = connection.execute(
        sa.select(table.c.generation).where(table.c.id == load_balancer_id).with_for_update()
    ).scalar_one()
    connection.execute(
        sa.update(table)
        .where(table.c.id == load_balancer_id)
        .values(
            generation=generation + 1, pending_since=sa.func.coalesce(table.c.pending_since, now())
        )
    )
    nudge(connection, load_balancer_id)
    return generation + 1


def add(database: Database, load_balancer_id: str, table: sa.Table, **values: Any) -> str:
    """Wish for an object under a load balancer; return its id."""

    def work(connection: Connection) -> str:
        generation = _next(connection, load_balancer_id)
        row = _row(
            generation, **{**DEFAULTS[table], "load_balancer_id": load_balancer_id, **values}
        )
        connection.execute(sa.insert(table).values(pending_since=now(), **row))
        made: str = row["id"]
        return made

    return database.write(work)


def change(
    database: Database, load_balancer_id: str, table: sa.Table, object_id: str, **values: Any
) -> None:
    """Wish for a change of an object; `live=None` deletes it."""

    def work(connection: Connection) -> None:
        generation = _next(connection, load_balancer_id)
        connection.execute(
            sa.update(table)
            .where(table.c.id == object_id)
            .values(
                generation=generation,
                pending_since=sa.func.coalesce(table.c.pending_since, now()),
                **values,
            )
        )

    database.write(work)


def row(database: Database, table: sa.Table, object_id: str) -> Any:
    """Return a row by id; None when there is none."""
    return database.read(
        lambda c: c.execute(sa.select(table).where(table.c.id == object_id)).one_or_none()
    )
