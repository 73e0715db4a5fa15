"""Writes down what is in force (design §4), and what becomes of a load balancer that is gone.

Everything here runs in one transaction of the worker that holds the fence; the load balancer's row
is locked first, so no wish comes in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.errors import Final
from statera.lb.statuses import NO_MONITOR, OFFLINE, ONLINE
from statera.plan.settlement import Faults, Outcome, Pending, Settled, by_object, outcome
from statera.spec.report import Fault
from statera.store.amphorae import enlist, moment
from statera.store.tables import objects
from statera.store.tables.placement import counter
from statera.store.tables.work import work
from statera.store.types import now
from statera.store.work import Claim, fenced

CHUNK = 500
"""Ids in one statement; every database takes that many."""

_COLUMNS = (
    "id",
    "generation",
    "born",
    "settled",
    "pending_since",
    "live",
    "fault",
    "fault_generation",
    "admin_state_up",
)


def hold(connection: Connection, held: Claim) -> None:
    """Lock the load balancer's row, then the fence.  Raise `LeaseLost`."""
    table = objects.load_balancer
    connection.execute(
        sa.select(table.c.id).where(table.c.id == held.load_balancer_id).with_for_update()
    )
    fenced(connection, held)


def settle(
    connection: Connection,
    held: Claim,
    applied: int,
    faults: Iterable[Fault] = (),
    serving: tuple[str, ...] = (),
) -> None:
    """Write down that generation `applied` is in force but for `faults`.

    `serving` are the amphorae that bring it into force.  Doomed rows go, with their tags.  Raise
    `LeaseLost`.
    """
    hold(connection, held)
    named = by_object(faults)
    balancer = objects.load_balancer
    for table in objects.CHILDREN:
        owned = table.c.load_balancer_id == held.load_balancer_id
        changed = _changed(connection, table, owned, applied, named)
        if table is objects.health_monitor:
            _monitors_settled(connection, changed)
        _write(connection, table, changed)
    for row, found in _changed(
        connection, balancer, balancer.c.id == held.load_balancer_id, applied, named
    ):
        if not found.removed:
            _write(connection, balancer, [(row, found)])
    if serving:
        enlist(connection, serving)


Changed = list[tuple[sa.Row[Any], Outcome]]


def _changed(
    connection: Connection,
    table: sa.Table,
    owned: sa.ColumnElement[bool],
    applied: int,
    faults: Faults,
) -> Changed:
    columns = [table.c[name] for name in _COLUMNS]
    if "pool_id" in table.c:
        columns.append(table.c.pool_id)
    rows = connection.execute(sa.select(*columns).where(owned)).all()
    results = ((row, outcome(_state(row), applied, faults.get(row.id))) for row in rows)
    return [(row, found) for row, found in results if found is not None]


def _state(row: Any) -> Settled:
    return cast(Settled, row)


def _write(connection: Connection, table: sa.Table, changed: Changed) -> None:
    _remove(connection, table, [row.id for row, found in changed if found.removed])
    for pending in Pending:
        rows = [
            {
                "row_id": row.id,
                "new_settled": found.settled,
                "new_fault": found.fault,
                "new_fault_generation": found.fault_generation,
            }
            for row, found in changed
            if found.pending is pending and not found.removed
        ]
        if rows:
            connection.execute(_update(table, pending), rows)


def _update(table: sa.Table, pending: Pending) -> sa.Update:
    since: dict[str, Any] = {}
    if pending is Pending.CLEARED:
        since = {"pending_since": None}
    elif pending is Pending.RENEWED:
        since = {"pending_since": now()}
    return (
        sa.update(table)
        .where(table.c.id == sa.bindparam("row_id"))
        .values(
            settled=sa.bindparam("new_settled"),
            fault=sa.bindparam("new_fault"),
            fault_generation=sa.bindparam("new_fault_generation"),
            updated_at=moment(),
            **since,
        )
    )


def _remove(connection: Connection, table: sa.Table, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        connection.execute(sa.delete(objects.tag).where(objects.tag.c.object_id.in_(part)))
        if table is objects.listener:
            connection.execute(sa.delete(counter).where(counter.c.object_id.in_(part)))
        connection.execute(sa.delete(table).where(table.c.id.in_(part)))


def _monitors_settled(connection: Connection, changed: Changed) -> None:
    """Give monitors the status that follows from their switch, members of a gone one theirs."""
    table, member = objects.health_monitor, objects.member
    for row, found in changed:
        if found.removed:
            another = sa.exists().where(table.c.pool_id == row.pool_id, table.c.live == 1)
            connection.execute(
                sa.update(member)
                .where(member.c.pool_id == row.pool_id, member.c.live == 1, ~another)
                .values(operating_status=NO_MONITOR)
            )
        elif found.settled >= row.generation:
            status = ONLINE if row.admin_state_up else OFFLINE
            connection.execute(
                sa.update(table).where(table.c.id == row.id).values(operating_status=status)
            )


def note_fault(connection: Connection, held: Claim, text: str, *, final: bool = False) -> None:
    """Write why the load balancer does not get on; `final`: trying again is pointless.

    A wish that came after the claim is not the one that was refused.  Raise `LeaseLost`.
    """
    hold(connection, held)
    table = objects.load_balancer
    nudges = connection.scalar(
        sa.select(work.c.nudges).where(work.c.load_balancer_id == held.load_balancer_id)
    )
    refused = final and nudges == held.nudges
    connection.execute(
        sa.update(table)
        .where(table.c.id == held.load_balancer_id)
        .values(fault=text, fault_generation=table.c.generation if refused else None)
    )


def plug_vip(connection: Connection, held: Claim, port_id: str) -> None:
    """Note the port that holds the VIPs.  Raise `LeaseLost`."""
    hold(connection, held)
    balancer, vips = objects.load_balancer, objects.additional_vip
    here = balancer.c.id == held.load_balancer_id
    connection.execute(sa.update(balancer).where(here).values(vip_port_id=port_id))
    more = vips.c.load_balancer_id == held.load_balancer_id
    connection.execute(sa.update(vips).where(more).values(port_id=port_id))


def lapse(connection: Connection, held: Claim) -> None:
    """End a reservation whose time is over, so that it cannot be confirmed any more.

    0 keeps the row hidden: only a reservation that lies in the future stands.  Raise `LeaseLost`.
    """
    hold(connection, held)
    table = objects.load_balancer
    connection.execute(
        sa.update(table)
        .where(table.c.id == held.load_balancer_id, table.c.live.is_(None))
        .values(reserved_until=0.0)
    )


def bury(connection: Connection, held: Claim) -> None:
    """Make a doomed load balancer DELETED: hidden until it is purged; what is under it goes.

    Raise `LeaseLost`, or `lb.errors.Final` when it came to life meanwhile.
    """
    hold(connection, held)
    table, owner = objects.load_balancer, held.load_balancer_id
    buried = connection.execute(
        sa.update(table)
        .where(table.c.id == owner, table.c.live.is_(None), table.c.deleted_at.is_(None))
        .values(
            deleted_at=now(),
            settled=table.c.generation,
            pending_since=None,
            fault=None,
            fault_generation=None,
            updated_at=moment(),
        )
    )
    if buried.rowcount != 1:
        raise Final(f"load balancer {owner} is not to be deleted")
    for child in objects.CHILDREN:
        ids = connection.scalars(sa.select(child.c.id).where(child.c.load_balancer_id == owner))
        _remove(connection, child, list(ids))
    vips = objects.additional_vip
    connection.execute(sa.delete(vips).where(vips.c.load_balancer_id == owner))
    connection.execute(sa.delete(objects.tag).where(objects.tag.c.object_id == owner))
    connection.execute(sa.delete(counter).where(counter.c.load_balancer_id == owner))
