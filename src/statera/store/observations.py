"""What agents say, written on change only: streams, documents in force, faults, statuses.

A report that changes what is in force makes work due on its load balancer; operating statuses wake
nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.errors import Final
from statera.lb.operating import Health, Watched, changes
from statera.plan.observation import DELETED
from statera.spec.report import AmphoraReport, NetworkReport
from statera.store.desired import load_desired
from statera.store.documents import NETWORK
from statera.store.tables import objects
from statera.store.tables.placement import (
    amphora,
    document,
    gateway,
    machine,
    network_observation,
    observation,
)
from statera.store.types import now
from statera.store.work import nudge

CHUNK = 500
_UNSEEN: dict[str, Any] = {
    **{"epoch": 0, "revision": 0, "generation": 0, "serving": False, "retired": False},
    **{"faults": [], "estranged": True, "changed_at": now()},
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A machine whose agent said hello to a gateway; `peer` is who that was by proof.

    Of what it holds, `unknown` documents are not in this database, and `ahead` are the ids of those
    that it did not publish: newer ones, or others of the same number.
    """

    machine_id: str
    peer: str
    host: str
    gateway_id: str
    abilities: tuple[str, ...]
    occupied: tuple[str, ...]
    unknown: int = 0
    ahead: tuple[str, ...] = ()


class NotThisMachine(Final):
    """Somebody else said the first hello of that machine."""


def authenticate(connection: Connection, machine_id: str, peer: str) -> None:
    """Raise `NotThisMachine` unless `peer` is the machine, or the first that says to be it."""
    known = connection.scalar(sa.select(machine.c.peer).where(machine.c.id == machine_id))
    if known not in (None, peer):
        raise NotThisMachine(f"machine {machine_id} is {known}, not {peer}")


def arrive(connection: Connection, arrival: Arrival) -> list[str]:
    """Note an agent's stream; return the load balancers whose work it makes due.

    These are the ones that wait for a machine, and, when its abilities changed, the ones on it.
    Raise `NotThisMachine`.
    """
    authenticate(connection, arrival.machine_id, arrival.peer)
    before = connection.execute(
        sa.select(machine.c.abilities).where(machine.c.id == arrival.machine_id).with_for_update()
    ).one_or_none()
    values = {
        "host": arrival.host,
        "abilities": list(arrival.abilities),
        "occupied": list(arrival.occupied),
        "unknown": arrival.unknown,
        "ahead": len(arrival.ahead),
        "gateway_id": arrival.gateway_id,
        "connected": True,
        "changed_at": now(),
    }
    if before is None:
        connection.execute(
            sa.insert(machine).values(id=arrival.machine_id, peer=arrival.peer, **values)
        )
    else:
        connection.execute(
            sa.update(machine).where(machine.c.id == arrival.machine_id).values(**values)
        )
    waiting: sa.ColumnElement[bool] = amphora.c.machine_id.is_(None)
    if before is not None and set(before.abilities) != set(arrival.abilities):
        waiting = sa.or_(waiting, amphora.c.machine_id == arrival.machine_id)
    found = connection.scalars(
        sa.select(amphora.c.load_balancer_id).where(waiting, amphora.c.status != DELETED).distinct()
    ).all()
    due = {*found, *_estrange(connection, arrival)}
    for load_balancer_id in sorted(due):
        nudge(connection, load_balancer_id)
    return sorted(due)


def _estrange(connection: Connection, arrival: Arrival) -> set[str]:
    """Note whose documents are not from here; return the load balancers where that is news."""
    table = observation
    rows = connection.execute(
        sa.select(amphora.c.id, amphora.c.load_balancer_id, table.c.estranged)
        .outerjoin(table, table.c.amphora_id == amphora.c.id)
        .where(amphora.c.machine_id == arrival.machine_id, amphora.c.status != DELETED)
    ).all()
    ahead = frozenset(arrival.ahead)
    news = [row for row in rows if bool(row.estranged) != (row.id in ahead)]
    for row in news:
        if row.estranged is None:
            connection.execute(sa.insert(table).values(amphora_id=row.id, **_UNSEEN))
        else:
            changed = sa.update(table).where(table.c.amphora_id == row.id)
            connection.execute(changed.values(estranged=not row.estranged))
    return {row.load_balancer_id for row in news}


def depart(connection: Connection, machine_id: str, gateway_id: str) -> None:
    """Note that a stream ended, unless the agent is at another gateway by now."""
    connection.execute(
        sa.update(machine)
        .where(machine.c.id == machine_id, machine.c.gateway_id == gateway_id)
        .values(connected=False, gateway_id=None, changed_at=now())
    )


def beat(connection: Connection, gateway_id: str, here: Iterable[Arrival] = ()) -> list[str]:
    """Note that a gateway lives, and who is `here` where that was noted otherwise.

    The note of an arrival or a departure may have failed, or have overtaken that of another
    gateway; and a gateway that was silent for long was taken for dead, its streams with it.  A
    machine that is connected is at another gateway by now.  Return the load balancers whose work
    that makes due.
    """
    changed = connection.execute(
        sa.update(gateway).where(gateway.c.id == gateway_id).values(beat_at=now())
    )
    if not changed.rowcount:
        connection.execute(sa.insert(gateway).values(id=gateway_id, beat_at=now()))
    present = {each.machine_id: each for each in here}
    connection.execute(
        sa.update(machine)
        .where(machine.c.gateway_id == gateway_id, machine.c.id.not_in(present))
        .values(connected=False, gateway_id=None, changed_at=now())
    )
    known = sa.select(machine.c.id).where(machine.c.id.in_(present), machine.c.connected)
    missing = present.keys() - set(connection.scalars(known))
    return [each for name in sorted(missing) for each in arrive(connection, present[name])]


def vanish(connection: Connection, gateway_id: str) -> None:
    """Note that a gateway ends in order: nobody is connected to it any more."""
    forget(connection, [gateway_id])


def forget(connection: Connection, gateway_ids: Sequence[str]) -> None:
    """Remove gateways; the machines that were connected to them are silent."""
    connection.execute(sa.delete(gateway).where(gateway.c.id.in_(gateway_ids)))
    connection.execute(
        sa.update(machine)
        .where(machine.c.gateway_id.in_(gateway_ids))
        .values(connected=False, gateway_id=None, changed_at=now())
    )


def placed(connection: Connection, machine_id: str, ids: Iterable[str]) -> dict[str, str]:
    """Return amphora id -> load balancer id of those that are placed on the machine."""
    wanted, found = list(ids), dict[str, str]()
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        rows = connection.execute(
            sa.select(amphora.c.id, amphora.c.load_balancer_id).where(
                amphora.c.id.in_(part), amphora.c.machine_id == machine_id
            )
        )
        found.update((row.id, row.load_balancer_id) for row in rows)
    return found


def observe(connection: Connection, load_balancer_id: str, report: AmphoraReport) -> bool:
    """Note what is in force on an amphora; True if that is news, and work is due then."""
    values: dict[str, Any] = {
        "epoch": report.epoch,
        "revision": report.revision,
        "generation": report.generation,
        "serving": report.serving,
        "retired": report.retired,
        "faults": [msgspec.to_builtins(fault) for fault in report.faults],
    }
    row = connection.execute(
        sa.select(observation).where(observation.c.amphora_id == report.amphora_id)
    ).one_or_none()
    if row is not None and all(row._mapping[name] == value for name, value in values.items()):
        return False
    if row is None:
        connection.execute(
            sa.insert(observation).values(
                amphora_id=report.amphora_id, estranged=False, changed_at=now(), **values
            )
        )
    else:
        connection.execute(
            sa.update(observation)
            .where(observation.c.amphora_id == report.amphora_id)
            .values(changed_at=now(), **values)
        )
    nudge(connection, load_balancer_id)
    return True


def observe_network(connection: Connection, machine_id: str, report: NetworkReport) -> bool:
    """Note how far a network has got on a machine; True if that is news.

    Of a network that nobody published, nothing is noted.
    """
    table = network_observation
    here = sa.and_(table.c.machine_id == machine_id, table.c.network_id == report.network_id)
    row = connection.execute(sa.select(table).where(here)).one_or_none()
    if report.retired:
        connection.execute(sa.delete(table).where(here))
        return row is not None
    values = {"epoch": report.epoch, "revision": report.revision, "fault": report.fault}
    if row is None:
        published = sa.and_(document.c.id == report.network_id, document.c.kind == NETWORK)
        if not connection.scalar(sa.select(sa.exists().where(published))):
            return False
        connection.execute(
            sa.insert(table).values(machine_id=machine_id, network_id=report.network_id, **values)
        )
        return True
    if all(row._mapping[name] == value for name, value in values.items()):
        return False
    connection.execute(sa.update(table).where(here).values(**values))
    return True


def health_of(report: AmphoraReport) -> Health:
    """Return the statuses that a report carries."""
    return Health(
        generation=report.generation,
        listeners={each.id: each.status for each in report.listeners},
        pools={each.id: each.status for each in report.pools},
        members={each.id: each.status for pool in report.pools for each in pool.members},
    )


def read_changes(
    connection: Connection, load_balancer_id: str, report: AmphoraReport
) -> dict[str, str]:
    """Return object id -> operating status of everything whose status is another now."""
    desired = load_desired(connection, load_balancer_id)
    if desired is None or report.retired:
        return {}
    watched = Watched(desired.load_balancer, desired.listeners, desired.pools, desired.members)
    return changes(watched, health_of(report))


def write_changes(
    connection: Connection, load_balancer_id: str, statuses: Mapping[str, str]
) -> None:
    """Write operating statuses by object id, the load balancer's row locked first, written last."""
    balancer = objects.load_balancer
    connection.execute(
        sa.select(balancer.c.id).where(balancer.c.id == load_balancer_id).with_for_update()
    )
    by_status: dict[str, list[str]] = {}
    for object_id, status in statuses.items():
        by_status.setdefault(status, []).append(object_id)
    for table in (objects.member, objects.pool, objects.listener, balancer):
        owner = table.c.id if table is balancer else table.c.load_balancer_id
        for status, ids in by_status.items():
            for start in range(0, len(ids), CHUNK):
                connection.execute(
                    sa.update(table)
                    .where(owner == load_balancer_id, table.c.id.in_(ids[start : start + CHUNK]))
                    .values(operating_status=status)
                )
