"""Who may do what: role admin everything; member writes in its project; reader reads there.

Networks with `shared`, and their subnets, are visible to every project.  What a caller cannot see
does not exist for it (404); what it sees and may not do is forbidden (403).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from statera.cloud.network import errors
from statera.cloud.network.tables import network, port, subnet
from statera.lb.caller import Caller

READERS = frozenset({"admin", "member", "reader"})
WRITERS = frozenset({"admin", "member"})

Condition = sa.ColumnElement[bool]


def check_reader(caller: Caller, rule: str) -> None:
    """Raise unless the caller has a role that reads."""
    if not caller.roles & READERS:
        raise errors.PolicyNotAuthorized(rule)


def check_writer(caller: Caller, rule: str) -> None:
    """Raise unless the caller has a role that writes."""
    if not caller.roles & WRITERS:
        raise errors.PolicyNotAuthorized(rule)


def is_admin(caller: Caller | None) -> bool:
    """Say whether the caller may do everything; None is the service itself."""
    return caller is None or "admin" in caller.roles


def owns(caller: Caller | None, project_id: Any) -> bool:
    """Say whether the caller may change what belongs to that project."""
    return is_admin(caller) or (caller is not None and caller.project_id == project_id)


def networks_of(caller: Caller | None) -> Condition:
    """Return the condition for the networks that the caller can see."""
    if is_admin(caller):
        return sa.true()
    return sa.or_(_belongs(network, caller), network.c.shared.is_(sa.true()))


def subnets_of(caller: Caller | None) -> Condition:
    """Return the condition for the subnets that the caller can see."""
    if is_admin(caller):
        return sa.true()
    theirs = sa.select(network.c.id).where(networks_of(caller))
    return sa.or_(_belongs(subnet, caller), subnet.c.network_id.in_(theirs))


def ports_of(caller: Caller | None) -> Condition:
    """Return the condition for the ports that the caller can see."""
    return sa.true() if is_admin(caller) else _belongs(port, caller)


def _belongs(table: sa.Table, caller: Caller | None) -> Condition:
    if caller is None or caller.project_id is None:
        return sa.false()
    return table.c.project_id == caller.project_id


def lock_network(
    connection: Connection, network_id: str, caller: Caller | None = None
) -> RowMapping:
    """Return the row of a network that the caller can see, locked until the transaction ends."""
    statement = (
        sa.select(network).where(network.c.id == network_id, networks_of(caller)).with_for_update()
    )
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise errors.NetworkNotFound(network_id)
    return row
